import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { spawnProcess } from '../../../../hyperd/base/subprocess.ts';
import { checkErofs, testMkfsErofs } from '../../../support/erofs.ts';
import { TestRegistry } from '../../../support/registry.ts';
import { fileLayer, imageOf } from '../../../support/registry-image.ts';
import { StoreBench, Transfer } from './store-bench.ts';

const program = fileURLToPath(new URL('../../../support/registry-pull.ts', import.meta.url));

/** Command lines of processes that have this in them; those that just end get a moment. */
async function programsNaming(text: string): Promise<readonly string[]> {
  let found: string[] = [];
  for (let round = 0; round < 20; round++) {
    const lines = await Promise.all(
      (await readdir('/proc'))
        .filter((entry) => /^\d+$/.test(entry))
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    found = lines.filter((line) => line.includes(text));
    if (found.length === 0) break;
    await setTimeout(100);
  }
  return found;
}

/** Waits until the first bytes of a blob are on the disk: progress is told a moment earlier. */
async function partOf(directory: string): Promise<void> {
  const blobs = path.join(directory, 'blobs');
  for (let round = 0; round < 150; round++) {
    for (const file of await readdir(blobs).catch(() => [])) {
      if ((await stat(path.join(blobs, file))).size > 0) return;
    }
    await setTimeout(100);
  }
  throw new Error(`nothing arrived in ${blobs}`);
}

describe('a daemon that is killed in the middle of a pull', () => {
  it('leaves a part that the next one goes on with, and nothing else', async () => {
    const registry = await TestRegistry.start();
    onTestFinished(() => registry[Symbol.asyncDispose]());
    const image = imageOf([await fileLayer('big', randomBytes(2_000_000))]);
    const [layer] = image.layers;
    registry.addImage('app', '1', image);
    registry.intercept = (request, response) => {
      if (!(request.url ?? '').endsWith(layer!.digest)) return false;
      response.setHeader('content-length', layer!.bytes.length);
      response.write(layer!.bytes.subarray(0, 1_000_000));
      return true;
    };
    const images = await StoreBench.open();
    onTestFinished(() => images[Symbol.asyncDispose]());
    const reference = `${registry.host}/app:1`;
    await images.close();

    const daemon = spawnProcess(
      process.execPath,
      [program, images.directory, await testMkfsErofs(), reference],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const { promise: downloads, resolve } = Promise.withResolvers<undefined>();
    daemon.stdout!.on('data', (text: Buffer) => {
      if (text.includes('"Downloading"')) resolve(undefined);
    });
    await downloads;
    await partOf(images.directory);
    daemon.kill('SIGKILL');
    await once(daemon, 'close');

    expect(await programsNaming(images.directory)).toEqual([]);
    registry.intercept = () => false;
    await images.open();
    expect(images.store.list()).toEqual([]);
    expect(await readdir(path.join(images.directory, 'layers'))).toEqual([]);
    expect(await readdir(path.join(images.directory, 'blobs'))).toHaveLength(1);
    const record = await images.store.pull(reference, new Transfer());
    expect(registry.seen(layer!.digest).at(-1)?.range).toMatch(/^bytes=[1-9]\d*-$/);
    for (const file of await images.store.layers(record.id)) await checkErofs(file.path);
  });
});
