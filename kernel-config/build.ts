import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import { run, spawnProcess } from '../hyperd/base/subprocess.ts';
import { withFileLock } from '../setup/file-lock.ts';
import { openDebianArchive } from '../setup/debian-archive.ts';
import { archiveDirectory, cacheDirectory } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { formatRequests, parseFragment, type SymbolRequest } from './fragment.ts';
import { packElf } from './pack-elf.ts';
import { findDifferences } from './verify.ts';
import versions from './versions.json' with { type: 'json' };

/** A built kernel: an uncompressed, stripped ELF with a PVH entry note. */
export interface HyperKernel {
  readonly vmlinuxPath: string;
  /** Such as `6.12.117-hyper`. */
  readonly version: string;
  readonly inputsHash: string;
}

export interface KernelBuildOptions {
  readonly cacheDirectory: string;
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}

const here = import.meta.dirname;
const progressIntervalMs = 15_000;

/** Same inputs, same bytes: everything that the build would else take from the moment and the place. */
const reproducible = {
  KBUILD_BUILD_TIMESTAMP: 'Thu Jan  1 00:00:00 UTC 2026',
  KBUILD_BUILD_USER: 'hyper',
  KBUILD_BUILD_HOST: 'hyper',
  KBUILD_BUILD_VERSION: '1',
  LC_ALL: 'C',
};

/**
 * Returns HyperKernel from the cache, built first when fragments, build rules or compiler changed.
 * Concurrent calls build once. A cached kernel needs no network.
 */
export async function buildKernel(options: KernelBuildOptions): Promise<HyperKernel> {
  const requests = await readFragments();
  const inputsHash = await hashInputs(requests);
  const target = path.join(options.cacheDirectory, 'kernel', inputsHash);
  await mkdir(path.dirname(target), { recursive: true });
  return await withFileLock(`${target}.lock`, async () => {
    if (!(await exists(target))) await build(requests, target, options);
    return {
      vmlinuxPath: path.join(target, 'vmlinux'),
      version: (await readFile(path.join(target, 'version'), 'utf8')).trim(),
      inputsHash,
    };
  });
}

async function build(
  requests: readonly SymbolRequest[],
  target: string,
  options: KernelBuildOptions,
): Promise<void> {
  const startedAt = Date.now();
  await removeStaleTrees(path.dirname(target));
  const tree = await mkdtemp(`${target}.tree-`);
  try {
    options.onProgress(`HyperKernel: unpacking ${versions.sourcePackage}`);
    const source = await unpackSource(tree);
    await configure(source, requests);
    await compile(source, options);
    const staging = path.join(tree, 'out');
    await mkdir(staging);
    const vmlinux = packElf(await readFile(path.join(source, 'vmlinux')));
    await writeFile(path.join(staging, 'vmlinux'), vmlinux);
    await rename(path.join(source, '.config'), path.join(staging, 'config'));
    const stdout = await readFile(path.join(source, 'include/config/kernel.release'), 'utf8');
    await writeFile(path.join(staging, 'version'), stdout);
    await rename(staging, target);
    const mebibytes = ((await stat(path.join(target, 'vmlinux'))).size / 2 ** 20).toFixed(1);
    const seconds = String(Math.round((Date.now() - startedAt) / 1000));
    options.onProgress(`HyperKernel ${stdout.trim()}: ${mebibytes} MiB, built in ${seconds} s`);
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function unpackSource(tree: string): Promise<string> {
  const archive = await openDebianArchive(archiveDirectory);
  const [deb = ''] = await archive.download([versions.sourcePackage]);
  await run('dpkg-deb', ['--extract', deb, tree]);
  const tarball = path.join(tree, 'usr/src', `${versions.sourcePackage}.tar.xz`);
  const tar = spawnProcess('tar', ['--extract', '--xz', '--file=-', `--directory=${tree}`], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => tar.once('close', resolve));
  if (tar.stdin !== null) await pipeline(createReadStream(tarball), tar.stdin);
  if ((await ended) !== 0) throw new Error(`${tarball}: tar could not unpack it`);
  await rm(path.join(tree, 'usr'), { recursive: true });
  return path.join(tree, versions.sourcePackage);
}

async function configure(source: string, requests: readonly SymbolRequest[]): Promise<void> {
  const fragment = path.join(source, 'hyper.config');
  await writeFile(fragment, formatRequests(requests));
  const options = { cwd: source, env: environment() };
  await run('make', ['-s', 'tinyconfig'], options);
  await run('scripts/kconfig/merge_config.sh', ['-m', '.config', fragment], options);
  await run('make', ['-s', 'olddefconfig'], options);
  const differences = findDifferences(
    await readFile(path.join(source, '.config'), 'utf8'),
    requests,
  );
  if (differences.length > 0) {
    throw new Error(
      `HyperKernel's configuration is not what was asked for:\n${differences.join('\n')}`,
    );
  }
}

async function compile(source: string, options: KernelBuildOptions): Promise<void> {
  const startedAt = Date.now();
  let objects = 0;
  const report = setInterval(() => {
    const seconds = String(Math.round((Date.now() - startedAt) / 1000));
    options.onProgress(`HyperKernel: ${String(objects)} objects compiled after ${seconds} s`);
  }, progressIntervalMs);
  try {
    await run('make', [`-j${String(options.jobs)}`, 'vmlinux'], {
      cwd: source,
      env: environment(),
      onOutput: (text) => {
        objects += text.match(/^ +(CC|AS) /gm)?.length ?? 0;
      },
    });
  } finally {
    clearInterval(report);
  }
}

async function readFragments(): Promise<readonly SymbolRequest[]> {
  const lists = await Promise.all(
    versions.fragments.map(async (name) => {
      const file = `${name}.conf`;
      return parseFragment(file, await readFile(path.join(here, 'fragments', file), 'utf8'));
    }),
  );
  return lists.flat();
}

async function hashInputs(requests: readonly SymbolRequest[]): Promise<string> {
  const compiler = await run('gcc', ['-dumpfullversion', '-dumpmachine']);
  const hash = createHash('sha256');
  hash.update(formatRequests(requests));
  hash.update(JSON.stringify([versions.sourcePackage, reproducible, compiler.stdout]));
  for (const file of ['build.ts', 'pack-elf.ts'])
    hash.update(await readFile(path.join(here, file)));
  return hash.digest('hex').slice(0, 16);
}

/** Trees of builds that were killed; the lock tells that nobody works in them. */
async function removeStaleTrees(directory: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (entry.includes('.tree-')) await rm(path.join(directory, entry), { recursive: true });
  }
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, ...reproducible };
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch {
    return false;
  }
}

if (process.argv[1] === import.meta.filename) {
  const kernel = await buildKernel({ cacheDirectory, jobs: 2, onProgress: step });
  process.stdout.write(`${kernel.vmlinuxPath}\n`);
}
