import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { spawnProcess } from '../../../../hyperd/base/subprocess.ts';
import { checkErofs, testMkfsErofs } from '../../../support/erofs.ts';
import { TestRegistry } from '../../../support/registry.ts';
import { fileLayer, imageOf } from '../../../support/registry-image.ts';
import { StoreBench, Transfer } from './store-bench.ts';

const program = fileURLToPath(new URL('../../../support/registry-pull.ts', import.meta.url));

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
    await images.store[Symbol.asyncDispose]();

    const daemon = spawnProcess(
      process.execPath,
      [program, images.directory, await testMkfsErofs(), reference],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    for await (const text of daemon.stdout!) {
      if (/"current":[1-9]/.test(String(text))) break;
    }
    daemon.kill('SIGKILL');
    await once(daemon, 'close');

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
