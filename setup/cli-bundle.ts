import { mkdir, mkdtemp, rename, rm, utimes } from 'node:fs/promises';
import path from 'node:path';

import { build, type Plugin } from 'esbuild';

import { root } from './paths.ts';

const folder = path.join(root, 'build');

/**
 * Bundles the command line into build/hyper.cjs, from which bin/hyper runs it while no source is newer, and
 * what needs commander into build/program.cjs: to read that takes longer than a run needs up to its request.
 * CommonJS, because node's own modules then load when they are used and as far as they are used. Neither
 * V8's compile cache nor a start-up snapshot makes it faster: the code is small, node's snapshot is better.
 */
export async function buildCliBundle(): Promise<void> {
  const startedAt = new Date();
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(path.join(folder, 'hyper-'));
  try {
    await bundle('hyper-cli/program.ts', path.join(scratch, 'program.cjs'));
    await bundle('hyper-cli/main.ts', path.join(scratch, 'hyper.cjs'));
    // A source that changed in the meantime is newer.
    await utimes(path.join(scratch, 'hyper.cjs'), startedAt, startedAt);
    for (const name of ['program.cjs', 'hyper.cjs']) {
      await rename(path.join(scratch, name), path.join(folder, name));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [path.join(root, entry)],
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    define: { 'import.meta.dirname': '__dirname' },
    // As require: Node's loader of ES modules need not come up.
    supported: { 'dynamic-import': false },
    plugins: [besideMain],
    outfile,
    logLevel: 'warning',
  });
}

/** Leaves program.ts out of what imports it. */
const besideMain: Plugin = {
  name: 'beside-main',
  setup: (building) => {
    building.onResolve({ filter: /^\.\/program\.ts$/ }, () => ({
      path: './program.cjs',
      external: true,
    }));
  },
};

if (import.meta.main) await buildCliBundle();
