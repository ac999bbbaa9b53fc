import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { build as bundle } from 'esbuild';

import { run } from '../hyperd/base/subprocess.ts';
import { openDebianArchive } from '../setup/debian-archive.ts';
import { exists } from '../setup/exists.ts';
import { withFileLock } from '../setup/file-lock.ts';
import { archiveDirectory, cacheDirectory } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { buildInitrd } from './initrd.ts';

export interface BuiltInit {
  readonly initrdPath: string;
  readonly inputsHash: string;
  readonly binaryBytes: number;
}

export interface InitBuildOptions {
  readonly cacheDirectory: string;
  readonly onProgress: (line: string) => void;
  /** Another program than hyperstart on the same C module, whole in this one file. */
  readonly program?: string;
}

const here = import.meta.dirname;
const quickjsFiles = ['quickjs', 'dtoa', 'libregexp', 'libunicode', 'cutils'];
const compilerFlags = [
  ...['-O2', '-static', '-fwrapv', '-D_GNU_SOURCE', '-ffunction-sections', '-fdata-sections'],
  ...['-fno-asynchronous-unwind-tables', '-fstack-protector-strong'],
  // Kernel headers: musl has none of its own.
  ...['-idirafter', '/usr/include', '-idirafter', '/usr/include/x86_64-linux-gnu'],
];

/**
 * Returns the initramfs with hyperstart as its only program, from the cache unless sources or
 * compiler changed. Concurrent calls build once.
 */
export async function buildInit(options: InitBuildOptions): Promise<BuiltInit> {
  const program = options.program ?? path.join(here, 'main.ts');
  const inputsHash = await hashInputs(program);
  const root = path.join(options.cacheDirectory, 'hyperstart');
  const target = path.join(root, inputsHash);
  await mkdir(root, { recursive: true });
  return await withFileLock(path.join(root, 'lock'), async () => {
    if (!(await exists(target))) {
      const quickjs = await ensureQuickjs(root, options);
      options.onProgress('hyperstart: bundling, compiling to bytecode, linking');
      const scratch = await mkdtemp(path.join(root, 'build-'));
      try {
        await buildInto(scratch, quickjs, program);
        await rename(path.join(scratch, 'out'), target);
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    }
    const { size } = await stat(path.join(target, 'init'));
    return { initrdPath: path.join(target, 'initrd'), inputsHash, binaryBytes: size };
  });
}

async function buildInto(scratch: string, quickjs: string, program: string): Promise<void> {
  const out = path.join(scratch, 'out');
  await mkdir(out);
  const script = path.join(scratch, 'hyperstart.js');
  await bundle({
    entryPoints: [program],
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2023',
    // Constants become part of the code, not variables of the module that are made at every boot.
    minifySyntax: true,
    external: ['hyper:native'],
    outfile: script,
    logLevel: 'warning',
  });
  const bytecode = path.join(scratch, 'bytecode.c');
  const compiler = path.join(quickjs, 'qjsc');
  const options = ['-c', '-m', '-N', 'hyperstart_bytecode', '-M', 'hyper:native,native'];
  // The name is kept for stack traces: relative, so that the bytes do not depend on the place.
  await run(compiler, [...options, '-o', bytecode, path.basename(script)], { cwd: scratch });
  const native = path.join(here, 'sys/native');
  const sources = (await readdir(native)).filter((file) => file.endsWith('.c')).sort();
  const maker = path.join(scratch, 'maker');
  await run('musl-gcc', [
    ...compilerFlags,
    ...['-Wall', '-Wextra', '-Wno-unused-parameter', `-I${quickjs}`, '-o', maker],
    ...sources.map((file) => path.join(native, file)),
    bytecode,
    ...quickjsFiles.map((name) => path.join(quickjs, `${name}.musl.o`)),
    ...['-Wl,--gc-sections', '-Wl,--build-id=none', '-s', '-lm'],
    ...['-no-pie', `-Wl,-T,${path.join(native, 'snapshot.ld')}`],
  ]);
  const binary = path.join(out, 'init');
  await addSnapshot(maker, binary);
  const initrd = buildInitrd([
    ...['dev', 'proc', 'sys', 'run'].map((name) => ({ path: name, mode: 0o040755 })),
    { path: 'dev/console', mode: 0o020600, device: [5, 1] as const },
    { path: 'init', mode: 0o100755, content: await readFile(binary) },
  ]);
  await writeFile(path.join(out, 'initrd'), initrd);
}

/** A binary in which the program is loaded already: what `maker` has in memory when it has done that. */
async function addSnapshot(maker: string, binary: string): Promise<void> {
  const snapshot = `${maker}.snapshot`;
  await run(maker, [snapshot]);
  await run('objcopy', ['--update-section', `.snapshot=${snapshot}`, maker, binary]);
}

/** Whether there is an engine already: making one takes minutes, and the network. */
export function hasEngine(cacheDirectory: string): Promise<boolean> {
  return exists(engineDirectory(path.join(cacheDirectory, 'hyperstart')));
}

function engineDirectory(root: string): string {
  const inputs = JSON.stringify([compilerFlags, quickjsFiles]);
  const key = createHash('sha256').update(inputs).digest('hex').slice(0, 16);
  return path.join(root, `quickjs-${key}`);
}

/** QuickJS of Debian's source package: its compiler for this host, its engine as objects for musl. */
async function ensureQuickjs(root: string, options: InitBuildOptions): Promise<string> {
  const target = engineDirectory(root);
  if (await exists(target)) return target;
  options.onProgress("hyperstart: building QuickJS from Debian's source package");
  const archive = await openDebianArchive(archiveDirectory);
  const source = `${target}.tmp`;
  await archive.downloadSource('quickjs', source);
  await run('make', ['-j2', 'qjsc'], { cwd: source });
  const version = (await readFile(path.join(source, 'VERSION'), 'utf8')).trim();
  await Promise.all(
    quickjsFiles.map((name) =>
      run(
        'musl-gcc',
        [
          ...compilerFlags,
          '-w',
          `-DCONFIG_VERSION="${version}"`,
          '-c',
          `${name}.c`,
          '-o',
          `${name}.musl.o`,
        ],
        { cwd: source },
      ),
    ),
  );
  await rename(source, target);
  return target;
}

async function hashInputs(program: string): Promise<string> {
  const compiler = await run('musl-gcc', ['-dumpfullversion']);
  const hash = createHash('sha256').update(compiler.stdout).update(process.arch);
  const files = await readdir(here, { recursive: true });
  for (const file of files.filter((name) => /\.(ts|c|h|ld)$/.test(name)).sort()) {
    hash.update(file).update(await readFile(path.join(here, file)));
  }
  hash.update(path.relative(here, program)).update(await readFile(program));
  return hash.digest('hex').slice(0, 16);
}

if (process.argv[1] === import.meta.filename) {
  const init = await buildInit({ cacheDirectory, onProgress: step });
  process.stdout.write(`${init.initrdPath} (${String(init.binaryBytes)} bytes)\n`);
}
