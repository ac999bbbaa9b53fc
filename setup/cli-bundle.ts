import path from 'node:path';

import { build } from 'esbuild';

import { root } from './paths.ts';

/** Bundles the command line into build/hyper.mjs: one file loads several times as fast as many. */
export async function buildCliBundle(): Promise<void> {
  await build({
    entryPoints: [path.join(root, 'hyper-cli/main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minify: true,
    // commander is CommonJS and asks for Node's modules by require.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    outfile: path.join(root, 'build/hyper.mjs'),
    logLevel: 'warning',
  });
}
