import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import { defaultPath, type Recipe } from '../recipe.ts';

/** A single static program. */
export const hello: Recipe = {
  config: { Cmd: ['/hello'], Env: [defaultPath] },
  layers: [
    {
      createdBy: 'hello.c, statically linked',
      packages: [],
      async finish(tree, { scratchDirectory }) {
        const binary = path.join(scratchDirectory, 'hello');
        const source = path.join(import.meta.dirname, '../hello/hello.c');
        await run('musl-gcc', [
          '-Os',
          '-static',
          '-s',
          '-Wl,--build-id=none',
          '-o',
          binary,
          source,
        ]);
        tree.addFile('hello', await readFile(binary), 0o755);
      },
    },
  ],
};
