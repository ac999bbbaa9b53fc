import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';

import { run } from '../hyperd/base/subprocess.ts';
import { debianSuite, openDebianArchive } from './debian-archive.ts';
import { exists } from './exists.ts';
import { withFileLock } from './file-lock.ts';
import { archiveDirectory } from './paths.ts';

const sourcePackage = 'erofs-utils';
/** What the tools are built with; a change builds them anew. */
const configureFlags = [
  '--disable-fuse',
  '--disable-lz4',
  '--disable-lzma',
  '--without-zlib',
  '--without-libdeflate',
  '--without-libzstd',
  '--without-selinux',
  '--without-uuid',
];

export interface ErofsUtilsOptions {
  readonly cacheDirectory: string;
  readonly onProgress: (line: string) => void;
}

/**
 * Path of a mkfs.erofs that reads tar streams (erofs-utils 1.7 or newer): the host's own, else one
 * built from Debian's source package, once.
 */
export async function ensureMkfsErofs(options: ErofsUtilsOptions): Promise<string> {
  if (await readsTar('mkfs.erofs')) return 'mkfs.erofs';
  const directory = path.join(options.cacheDirectory, 'erofs-utils');
  const target = path.join(directory, `${debianSuite}-${recipeHash()}`);
  const binary = path.join(target, 'mkfs.erofs');
  await mkdir(directory, { recursive: true });
  return await withFileLock(path.join(directory, 'lock'), async () => {
    if (!(await exists(binary))) {
      options.onProgress(
        'erofs-utils: building mkfs.erofs (the host has none that reads tar streams)',
      );
      const scratch = await mkdtemp(path.join(directory, 'build-'));
      try {
        await build(path.join(scratch, 'source'), path.join(scratch, 'bin'));
        await rename(path.join(scratch, 'bin'), target);
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    }
    return binary;
  });
}

async function build(source: string, staging: string): Promise<void> {
  const archive = await openDebianArchive(archiveDirectory);
  await archive.downloadSource(sourcePackage, source);
  const at = { cwd: source };
  await run('autoreconf', ['--install', '--force'], at);
  await run('./configure', configureFlags, at);
  await run('nice', ['make', `-j${String(availableParallelism())}`], at);
  await mkdir(staging);
  for (const tool of ['mkfs/mkfs.erofs', 'fsck/fsck.erofs', 'dump/dump.erofs']) {
    await run('strip', ['-o', path.join(staging, path.basename(tool)), path.join(source, tool)]);
  }
}

/** Other flags, or another release, make another binary. */
function recipeHash(): string {
  const recipe = [sourcePackage, ...configureFlags].join('\0');
  return createHash('sha256').update(recipe).digest('hex').slice(0, 12);
}

async function readsTar(binary: string): Promise<boolean> {
  try {
    const { stdout, stderr } = await run(binary, ['--help']);
    return `${stdout}${stderr}`.includes('--tar=');
  } catch {
    return false;
  }
}

if (process.argv[1] === import.meta.filename) {
  const { cacheDirectory } = await import('./paths.ts');
  const { step } = await import('./progress.ts');
  process.stdout.write(`${await ensureMkfsErofs({ cacheDirectory, onProgress: step })}\n`);
}
