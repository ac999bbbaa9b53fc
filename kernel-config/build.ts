import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';

import { run } from '../hyperd/base/subprocess.ts';
import { exists } from '../setup/exists.ts';
import { withFileLock } from '../setup/file-lock.ts';
import { openDebianArchive } from '../setup/debian-archive.ts';
import { archiveDirectory, cacheDirectory } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { formatRequests, mergeFragments, parseFragment, type SymbolRequest } from './fragment.ts';
import { compileKernel } from './recipe.ts';
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
  /** With the debug fragment on top of the others. */
  readonly debug?: boolean;
}

/** What is written beside the kernel as `version.json`. */
interface KernelRecord {
  readonly version: string;
  readonly sourcePackage: string;
  readonly sourceVersion: string;
  readonly toolchain: string;
}

const here = import.meta.dirname;
/** The code that decides about the kernel's bytes. */
const hashedFiles = ['recipe.ts', 'cc-prelude.sh', 'prelude.h', 'pack-elf.ts'];
const lockNoticeMs = 1000;

/**
 * Returns HyperKernel from the cache, built first when fragments, recipe or toolchain changed.
 * Concurrent calls build once. A cached kernel needs neither network nor lock.
 */
export async function buildKernel(options: KernelBuildOptions): Promise<HyperKernel> {
  const { requests, toolchain, inputsHash } = await kernelInputs(options.debug ?? false);
  const directory = path.join(options.cacheDirectory, 'kernel');
  const target = path.join(directory, inputsHash);
  if (!(await exists(target))) {
    await mkdir(directory, { recursive: true });
    const notice = setTimeout(() => {
      options.onProgress('HyperKernel: waiting for another process that builds it');
    }, lockNoticeMs);
    try {
      await withFileLock(path.join(directory, 'lock'), async () => {
        clearTimeout(notice);
        if (!(await exists(target))) await build({ requests, toolchain, target, options });
      });
    } finally {
      clearTimeout(notice);
    }
  }
  const record = JSON.parse(await readFile(path.join(target, 'version.json'), 'utf8')) as {
    readonly version: string;
  };
  return { vmlinuxPath: path.join(target, 'vmlinux'), version: record.version, inputsHash };
}

export interface KernelInputs {
  readonly requests: readonly SymbolRequest[];
  readonly toolchain: string;
  /** Names the kernel in the cache. */
  readonly inputsHash: string;
}

/** What the kernel is made from, but for the point release of its source: the newest at build time. */
export async function kernelInputs(debug: boolean): Promise<KernelInputs> {
  const [requests, toolchain] = await Promise.all([readRequests(debug), readToolchain()]);
  const hash = createHash('sha256');
  hash.update(JSON.stringify([formatRequests(requests), versions.sourcePackage, toolchain]));
  for (const file of hashedFiles) hash.update(await readFile(path.join(here, file)));
  return { requests, toolchain, inputsHash: hash.digest('hex').slice(0, 16) };
}

/** Everything that is asked of the configuration, in the order of the fragments. */
export async function readRequests(debug: boolean): Promise<readonly SymbolRequest[]> {
  const read = async (name: string): Promise<readonly SymbolRequest[]> => {
    const file = `${name}.conf`;
    return parseFragment(file, await readFile(path.join(here, 'fragments', file), 'utf8'));
  };
  const fragments = await Promise.all(versions.fragments.map(read));
  return mergeFragments(fragments, debug ? await read('debug') : []);
}

interface Build {
  readonly requests: readonly SymbolRequest[];
  readonly toolchain: string;
  readonly target: string;
  readonly options: KernelBuildOptions;
}

async function build({ requests, toolchain, target, options }: Build): Promise<void> {
  const { jobs, onProgress } = options;
  const { sourcePackage } = versions;
  const startedAt = Date.now();
  await removeStaleTrees(path.dirname(target));
  const tree = await mkdtemp(`${target}.tree-`);
  try {
    const archive = await openDebianArchive(archiveDirectory);
    const sourceVersion = await archive.version(sourcePackage);
    const [sourceArchive = ''] = await archive.download([sourcePackage]);
    const searchPath = process.env['PATH'] ?? '/usr/bin:/bin';
    const recipe = { sourcePackage, sourceArchive, requests, searchPath, jobs, onProgress };
    const outputs = await compileKernel(recipe, tree);
    const release = path.join(outputs, 'release');
    const version = (await readFile(release, 'utf8')).trim();
    await rm(release);
    const record: KernelRecord = { version, sourcePackage, sourceVersion, toolchain };
    await writeFile(path.join(outputs, 'version.json'), `${JSON.stringify(record, null, 2)}\n`);
    await rename(outputs, target);
    const mebibytes = ((await stat(path.join(target, 'vmlinux'))).size / 2 ** 20).toFixed(1);
    const seconds = String(Math.round((Date.now() - startedAt) / 1000));
    onProgress(`HyperKernel ${version}: ${mebibytes} MiB, built in ${seconds} s`);
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

/** Compiler and linker, with their versions and target. */
async function readToolchain(): Promise<string> {
  const tools = await Promise.all([
    run('gcc', ['--version']),
    run('gcc', ['-dumpmachine']),
    run('ld', ['--version']),
  ]);
  return tools.map(({ stdout }) => stdout.split('\n')[0]).join('; ');
}

/** Trees of builds that were killed; the lock tells that nobody works in them. */
async function removeStaleTrees(directory: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (entry.includes('.tree-')) await rm(path.join(directory, entry), { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const debug = process.argv.includes('--debug');
  const jobs = availableParallelism();
  const kernel = await buildKernel({ cacheDirectory, jobs, onProgress: step, debug });
  process.stdout.write(`${kernel.vmlinuxPath}\n`);
}
