import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import { pathVariable, type Recipe } from '../recipe.ts';

/** One small static program, alone. */
export const hello: Recipe = {
  config: { Cmd: ['/hello'], Env: [pathVariable()] },
  layers: [
    {
      createdBy: 'hello.c, linked statically',
      async finish(tree, { scratchDirectory }) {
        const binary = path.join(scratchDirectory, 'hello');
        const source = path.join(import.meta.dirname, '../files/hello.c');
        const flags = ['-std=c11', '-Wall', '-Os', '-static', '-s', '-Wl,--build-id=none'];
        await run('musl-gcc', [...flags, '-o', binary, source]);
        tree.addFile('hello', await readFile(binary), 0o755);
      },
    },
  ],
};
