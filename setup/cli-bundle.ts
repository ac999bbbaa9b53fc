import { copyFile, mkdir, mkdtemp, rename, rm, utimes } from 'node:fs/promises';
import path from 'node:path';

import { build, type Plugin } from 'esbuild';

import { buildInit, hasEngine } from '../hyperstart/build.ts';
import { cacheDirectory, root } from './paths.ts';

const folder = path.join(root, 'build');
const earlyRun = path.join(folder, 'early-run');

/**
 * Bundles the command line into build/hyper.cjs, from which bin/hyper runs it while no source is newer, and
 * what needs commander into build/program.cjs: to read that takes longer than a run needs up to its request.
 * Where hyperstart's engine has been built, there is build/early-run, too, which sends that before Node is up.
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
    // One of other sources must not send what this bundle does not expect.
    await rm(earlyRun, { force: true });
    if (await hasEngine(cacheDirectory)) {
      await copyFile(await buildEarlyRun(), path.join(scratch, 'early-run'));
      await rename(path.join(scratch, 'early-run'), earlyRun);
    }
    // A source that changed in the meantime is newer.
    await utimes(path.join(scratch, 'hyper.cjs'), startedAt, startedAt);
    for (const name of ['program.cjs', 'hyper.cjs']) {
      await rename(path.join(scratch, name), path.join(folder, name));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Builds early-run, out of the cache if it is there, and returns its path. */
export async function buildEarlyRun(): Promise<string> {
  await mkdir(folder, { recursive: true });
  // The name of the program is a part of what its cache entry is found by: always the same one.
  const program = path.join(folder, 'early-run.js');
  await build({
    entryPoints: [path.join(root, 'hyper-cli/early-run/main.ts')],
    bundle: true,
    platform: 'neutral',
    target: 'es2023',
    format: 'esm',
    external: ['hyper:native'],
    plugins: [withoutNode],
    outfile: program,
    logLevel: 'warning',
  });
  const init = await buildInit({ cacheDirectory, program, onProgress: () => undefined });
  return path.join(path.dirname(init.initrdPath), 'init');
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

/** The engine of early-run has no Node: what stands in for its modules is beside the program. */
const withoutNode: Plugin = {
  name: 'without-node',
  setup: (building) => {
    const standIn = (name: string) => ({ path: path.join(root, 'hyper-cli/early-run', name) });
    building.onResolve({ filter: /^\.\.\/config\.ts$/ }, () => standIn('config.ts'));
    building.onResolve({ filter: /^node:fs$/ }, () => standIn('node-fs.ts'));
  },
};

if (import.meta.main) await buildCliBundle();
