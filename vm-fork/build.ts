import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../hyperd/base/subprocess.ts';
import { exists } from '../setup/exists.ts';
import { withFileLock } from '../setup/file-lock.ts';

export interface VmForkBuildOptions {
  readonly cacheDirectory: string;
  readonly onProgress: (line: string) => void;
}

const here = import.meta.dirname;
const libraryName = 'vm-fork.so';
const compilerFlags = [
  ...['-O2', '-shared', '-fPIC', '-fvisibility=hidden', '-fstack-protector-strong'],
  ...['-Wall', '-Wextra', '-Wl,-z,relro,-z,now', '-Wl,--build-id=none', '-s'],
];

/**
 * Path of the library, from the cache unless sources or compiler changed; '' on processors other than
 * x86-64, for which it is not written.
 */
export async function buildVmFork(options: VmForkBuildOptions): Promise<string> {
  if (process.arch !== 'x64') return '';
  const sources = (await readdir(here)).filter((file) => /\.[ch]$/.test(file)).sort();
  const root = path.join(options.cacheDirectory, 'vm-fork');
  const target = path.join(root, await hashInputs(sources));
  const library = path.join(target, libraryName);
  await mkdir(root, { recursive: true });
  return await withFileLock(path.join(root, 'lock'), async () => {
    if (await exists(library)) return library;
    options.onProgress('vm-fork: compiling');
    const scratch = await mkdtemp(path.join(root, 'build-'));
    try {
      const files = sources.filter((file) => file.endsWith('.c'));
      const output = path.join(scratch, 'out', libraryName);
      await mkdir(path.dirname(output));
      await run('gcc', [...compilerFlags, '-o', output, ...files], { cwd: here });
      await rename(path.dirname(output), target);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    return library;
  });
}

async function hashInputs(sources: readonly string[]): Promise<string> {
  const compiler = await run('gcc', ['-dumpfullversion']);
  const hash = createHash('sha256').update(compiler.stdout).update(JSON.stringify(compilerFlags));
  for (const file of sources) hash.update(file).update(await readFile(path.join(here, file)));
  return hash.digest('hex').slice(0, 16);
}

if (process.argv[1] === import.meta.filename) {
  const { cacheDirectory } = await import('../setup/paths.ts');
  const { step } = await import('../setup/progress.ts');
  process.stdout.write(`${await buildVmFork({ cacheDirectory, onProgress: step })}\n`);
}
