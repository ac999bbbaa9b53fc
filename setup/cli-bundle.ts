import { mkdir, mkdtemp, rename, rm, utimes } from 'node:fs/promises';
import path from 'node:path';

import { build } from 'esbuild';

import { root } from './paths.ts';

/**
 * Bundles the command line into build/hyper.cjs, from which bin/hyper runs it while no source is newer.
 * CommonJS, because node's own modules then load when they are used and as far as they are used. Neither
 * V8's compile cache nor a start-up snapshot makes it faster: the code is small, node's snapshot is better.
 */
export async function buildCliBundle(): Promise<void> {
  const startedAt = new Date();
  const target = path.join(root, 'build/hyper.cjs');
  await mkdir(path.dirname(target), { recursive: true });
  const scratch = await mkdtemp(`${target}-`);
  try {
    const outfile = path.join(scratch, 'hyper.cjs');
    await build({
      entryPoints: [path.join(root, 'hyper-cli/main.ts')],
      bundle: true,
      platform: 'node',
      target: 'node24',
      format: 'cjs',
      minify: true,
      define: { 'import.meta.dirname': '__dirname' },
      outfile,
      logLevel: 'warning',
    });
    // A source that changed in the meantime is newer.
    await utimes(outfile, startedAt, startedAt);
    await rename(outfile, target);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) await buildCliBundle();
