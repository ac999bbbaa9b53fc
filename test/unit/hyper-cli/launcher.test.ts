import { copyFile, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { run } from '../../../hyperd/base/subprocess.ts';

let root = '';
let launcher = '';
const source = 'hyper-cli/main.ts';
const bundle = 'build/hyper.cjs';

/** A package whose node is a script: it tells what it is to run, and bundles as the real one does. */
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'hyper-launcher-'));
  for (const folder of ['bin', 'build', 'setup', 'hyperd/base', 'hyper-cli/commands']) {
    await mkdir(path.join(root, folder), { recursive: true });
  }
  for (const file of ['package-lock.json', 'setup/cli-bundle.ts', 'hyperd/base/error.ts', source]) {
    await writeFile(path.join(root, file), '');
  }
  await writeFile(path.join(root, 'hyper-cli/commands/run.ts'), '');
  launcher = path.join(root, 'bin/hyper');
  await copyFile(path.join(import.meta.dirname, '../../../bin/hyper'), launcher);
  await makeNode(`touch "${root}/${bundle}"`);
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

async function makeNode(onBundle: string): Promise<void> {
  await mkdir(path.join(root, 'node_modules/.bin'), { recursive: true });
  const script = `#!/bin/sh\ncase $1 in *cli-bundle.ts) ${onBundle} ;; *) echo "$@" ;; esac\n`;
  await writeFile(path.join(root, 'node_modules/.bin/node'), script, { mode: 0o755 });
}

/** Makes the bundle, as old as the given number of seconds. */
async function makeBundle(age: number): Promise<void> {
  const file = path.join(root, bundle);
  await writeFile(file, '');
  const time = Date.now() / 1000 - age;
  await utimes(file, time, time);
}

/** What the launcher runs, relative to the package. */
async function launched(file = launcher): Promise<string> {
  const { stdout } = await run(file, ['ps', '-a']);
  return path.relative(root, stdout.trim());
}

it('runs the bundle when it is newer than every source, without building it', async () => {
  await makeBundle(-10);
  await makeNode('exit 1');
  expect(await launched()).toBe(`${bundle} ps -a`);
});

it('builds a bundle that is missing', async () => {
  expect(await launched()).toBe(`${bundle} ps -a`);
});

it('builds a bundle that is older than a source', async () => {
  await makeBundle(10);
  await makeNode(`touch "${root}/rebuilt" "${root}/${bundle}"`);
  expect(await launched()).toBe(`${bundle} ps -a`);
  await rm(path.join(root, 'rebuilt'));
});

it('runs the sources when the bundle cannot be built', async () => {
  await makeBundle(10);
  await makeNode('exit 1');
  expect(await launched()).toBe(`${source} ps -a`);
});

it('finds its package through a link', async () => {
  const link = path.join(root, 'hyper');
  await symlink(launcher, link);
  expect(await launched(link)).toBe(`${bundle} ps -a`);
});

it('lets early-run send the request of a run, and of nothing else', async () => {
  await makeBundle(-10);
  const early = path.join(root, 'build/early-run');
  await writeFile(early, '#!/bin/sh\necho early "$@"\n', { mode: 0o755 });
  const node = path.join(root, 'bin/../node_modules/.bin/node');
  const main = path.join(root, 'bin/..', bundle);
  const told = async (...args: string[]): Promise<string> =>
    (await run(launcher, args)).stdout.trim().replace(`${node} `, '').replace(main, bundle);

  expect(await told('run', '--rm', 'busybox')).toMatch(/^early .*hyper.cjs run --rm busybox$/);
  expect(await told('-H', 'unix:///x', 'run')).toMatch(/^early .*hyper.cjs -H unix:\/\/\/x run$/);
  expect(await told('ps')).not.toMatch(/^early/);
  await rm(early);
  expect(await told('run', 'busybox')).not.toMatch(/^early/);
});
