import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../hyperd/base/subprocess.ts';
import { formatRequests, type SymbolRequest } from './fragment.ts';
import { packElf } from './pack-elf.ts';
import { findDifferences } from './verify.ts';

/** What is compiled, and where. All that decides about the kernel's bytes is in this folder's hashed inputs. */
export interface Recipe {
  /** Debian package with the kernel's source. */
  readonly sourcePackage: string;
  /** That package, downloaded. */
  readonly sourceArchive: string;
  readonly requests: readonly SymbolRequest[];
  /** PATH for the tools: all that they see of the caller's environment, where CFLAGS and the like would change the kernel. */
  readonly searchPath: string;
  readonly jobs: number;
  readonly onProgress: (line: string) => void;
}

const here = import.meta.dirname;
const progressIntervalMs = 10_000;

/** Same inputs, same bytes: everything that the build would else take from the moment and the place. */
const reproducible = {
  KBUILD_BUILD_TIMESTAMP: 'Thu Jan  1 00:00:00 UTC 2026',
  KBUILD_BUILD_USER: 'hyper',
  KBUILD_BUILD_HOST: 'hyper',
  KBUILD_BUILD_VERSION: '1',
  ARCH: 'x86',
  LC_ALL: 'C',
};

/** Code that a guest on x86 has no use for: half of the tree. The Kconfig files and makefiles stay. */
const unused = [
  'Documentation/*/*',
  'tools/testing/*',
  'tools/perf/*',
  ...[
    'drivers/gpu',
    'drivers/infiniband',
    'drivers/media',
    'drivers/net/ethernet',
    'drivers/net/wireless',
    'drivers/staging',
    'sound',
  ].map((directory) => `${directory}/*.[ch]`),
];

/**
 * Unpacks, configures, verifies and compiles the kernel below `tree`; returns the directory with the
 * outputs: `vmlinux`, `config`, `System.map` and `release`.
 */
export async function compileKernel(recipe: Recipe, tree: string): Promise<string> {
  recipe.onProgress(`HyperKernel: unpacking ${recipe.sourcePackage}`);
  const source = await unpackSource(recipe, tree);
  await configure(source, recipe);
  await compile(source, recipe);
  const outputs = path.join(tree, 'outputs');
  await mkdir(outputs);
  const vmlinux = packElf(await readFile(path.join(source, 'vmlinux')));
  await writeFile(path.join(outputs, 'vmlinux'), vmlinux);
  await rename(path.join(source, '.config'), path.join(outputs, 'config'));
  await rename(path.join(source, 'System.map'), path.join(outputs, 'System.map'));
  const release = path.join(source, 'include/config/kernel.release');
  await rename(release, path.join(outputs, 'release'));
  return outputs;
}

async function unpackSource(recipe: Recipe, tree: string): Promise<string> {
  await run('dpkg-deb', ['--extract', recipe.sourceArchive, tree]);
  const tarball = path.join(tree, 'usr/src', `${recipe.sourcePackage}.tar.xz`);
  const excludes = unused.map((pattern) => `--exclude=${recipe.sourcePackage}/${pattern}`);
  await run('tar', ['--extract', '--xz', `--file=${tarball}`, `--directory=${tree}`, ...excludes], {
    env: { PATH: recipe.searchPath, XZ_DEFAULTS: '--threads=0' },
  });
  return path.join(tree, recipe.sourcePackage);
}

async function configure(source: string, recipe: Recipe): Promise<void> {
  const fragment = path.join(source, 'hyper.config');
  await writeFile(fragment, formatRequests(recipe.requests));
  const options = { cwd: source, env: environment(recipe) };
  await run('make', ['-s', 'tinyconfig'], options);
  await run('scripts/kconfig/merge_config.sh', ['-m', '.config', fragment], options);
  await run('make', ['-s', 'olddefconfig'], options);
  const differences = findDifferences(
    await readFile(path.join(source, '.config'), 'utf8'),
    recipe.requests,
  );
  if (differences.length > 0) {
    throw new Error(
      `HyperKernel's configuration is not what was asked for:\n${differences.join('\n')}`,
    );
  }
}

/** An object whose flags are those of most: it makes the precompiled header of `cc-prelude.sh`. */
const firstObject = 'mm/util.o';

async function compile(source: string, recipe: Recipe): Promise<void> {
  const startedAt = Date.now();
  let objects = 0;
  const report = setInterval(() => {
    const seconds = String(Math.round((Date.now() - startedAt) / 1000));
    recipe.onProgress(`HyperKernel: ${String(objects)} objects compiled after ${seconds} s`);
  }, progressIntervalMs);
  const compiler = await addLauncher(source);
  const make = (target: string): Promise<unknown> => {
    // When this process is killed, make ends too: the next build deletes the tree.
    const command = [
      '--pdeathsig',
      'TERM',
      'make',
      `-j${String(recipe.jobs)}`,
      `CC=${compiler}`,
      target,
    ];
    return run('setpriv', command, {
      cwd: source,
      env: environment(recipe),
      onOutput: (text) => {
        objects += text.match(/^ +(CC|AS) /gm)?.length ?? 0;
      },
    });
  };
  try {
    await make('prepare');
    await addPrelude(source);
    await make(firstObject);
    await make('vmlinux');
  } finally {
    clearInterval(report);
  }
}

/** The compiler as make is to call it. */
async function addLauncher(source: string): Promise<string> {
  const launcher = path.join(source, 'scripts/cc-prelude.sh');
  await copyFile(path.join(here, 'cc-prelude.sh'), launcher);
  return `sh ${launcher} gcc`;
}

/** The prelude, and what stands for it where it is of no use: the headers that every file gets from kbuild. */
async function addPrelude(source: string): Promise<void> {
  const generated = path.join(source, 'include/generated');
  const headers = path.join(generated, 'prelude-headers.h');
  await copyFile(path.join(here, 'prelude.h'), headers);
  const common = ['compiler-version.h', 'kconfig.h', 'compiler_types.h'];
  const lines = common.map((name) => `#include <linux/${name}>\n`);
  await writeFile(path.join(generated, 'prelude.h'), lines.join(''));
}

function environment({ searchPath }: Recipe): NodeJS.ProcessEnv {
  return { PATH: searchPath, ...reproducible };
}
