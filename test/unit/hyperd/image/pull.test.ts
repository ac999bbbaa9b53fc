import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import type { Platform, PullOptions } from '../../../../hyperd/image/image-store.ts';
import { testMkfsErofs } from '../../../support/erofs.ts';
import { cutting, failing, type RegistryOptions, TestRegistry } from '../../../support/registry.ts';
import {
  blobOf,
  fileLayer,
  imageOf,
  indexOf,
  json,
  sha256,
  type TestBlob,
  type TestImage,
} from '../../../support/registry-image.ts';
import { StoreBench, Transfer } from './store-bench.ts';

// The pauses between attempts are as long as a registry needs, not as a test has.
vi.mock('node:timers/promises', () => ({
  setTimeout: (_ms: number, value: unknown) => Promise.resolve(value),
}));

beforeAll(() => testMkfsErofs(), 300_000);

interface Bench {
  readonly registry: TestRegistry;
  readonly images: StoreBench;
  readonly name: string;
}

/** A registry with an image `app:1`, and an empty store. */
async function bench(image: TestImage, options: RegistryOptions = {}): Promise<Bench> {
  const registry = await TestRegistry.start(options);
  onTestFinished(() => registry[Symbol.asyncDispose]());
  registry.addImage('app', '1', image);
  const images = await StoreBench.open();
  onTestFinished(() => images[Symbol.asyncDispose]());
  return { registry, images, name: `${registry.host}/app` };
}

async function smallImage(): Promise<TestImage> {
  return imageOf([await fileLayer('a', 'one'), await fileLayer('b', 'two')]);
}

/** Incompressible, so that it takes several chunks on the wire. */
async function bigImage(): Promise<TestImage> {
  return imageOf([await fileLayer('big', randomBytes(3_000_000))]);
}

function forPlatform(platform: Platform): PullOptions {
  const { signal, onProgress } = new Transfer();
  return { signal, onProgress, platform };
}

function first(image: TestImage): TestBlob {
  return image.layers[0]!;
}

function idOf(blob: TestBlob): string {
  return blob.digest.slice(7, 19);
}

describe('a pull', () => {
  it('tells its steps as Docker does', async () => {
    const image = await smallImage();
    const { images, name } = await bench(image);
    const transfer = new Transfer();
    const record = await images.store.pull(`${name}:1`, transfer);

    expect(record).toMatchObject({
      id: image.id,
      repoTags: [`${name}:1`],
      repoDigests: [`${name}@${image.manifest.digest}`],
      diffIds: image.diffIds,
      platform: { os: 'linux', architecture: 'amd64' },
    });
    expect(transfer.messages[0]).toEqual({ status: 'Pulling from app', id: '1' });
    expect(transfer.messages.slice(1, 3).map(({ status }) => status)).toEqual([
      'Pulling fs layer',
      'Pulling fs layer',
    ]);
    expect(transfer.statuses(idOf(first(image)))).toEqual([
      'Pulling fs layer',
      'Downloading',
      'Verifying Checksum',
      'Download complete',
      'Extracting',
      'Pull complete',
    ]);
    expect(transfer.messages.slice(-2)).toEqual([
      { status: `Digest: ${image.manifest.digest}` },
      { status: `Status: Downloaded newer image for ${name}:1` },
    ]);
    expect(await images.store.layers(image.id)).toHaveLength(2);
    expect(await readdir(path.join(images.directory, 'blobs'))).toEqual([]);
  });

  it('finds out that there is nothing to do', async () => {
    const image = await smallImage();
    const { registry, images, name } = await bench(image);
    await images.store.pull(`${name}:1`, new Transfer());
    const again = new Transfer();
    await images.store.pull(`${name}:1`, again);
    expect(again.statuses(idOf(first(image)))).toEqual(['Already exists']);
    expect(again.messages.at(-1)?.status).toBe(`Status: Image is up to date for ${name}:1`);
    expect(registry.seen(first(image).digest)).toHaveLength(1);
  });

  it('moves a tag to the newer image and leaves the old one without a name', async () => {
    const old = await smallImage();
    const { registry, images, name } = await bench(old);
    await images.store.pull(`${name}:1`, new Transfer());
    const next = await bigImage();
    registry.addImage('app', '1', next);
    await images.store.pull(`${name}:1`, new Transfer());
    expect(images.store.get(`${name}:1`).id).toBe(next.id);
    expect(images.store.get(old.id).repoTags).toEqual([]);
  });

  it('takes Docker manifests, zstd and plain layers', async () => {
    const docker = imageOf([await fileLayer('a', '1')], { docker: true });
    const { registry, images, name } = await bench(docker);
    const others = [
      imageOf([await fileLayer('b', '2')], { compression: 'zstd' }),
      imageOf([await fileLayer('c', '3')], { compression: 'none' }),
    ];
    for (const [index, other] of others.entries()) {
      registry.addImage('app', `other${String(index)}`, other);
    }
    for (const tag of ['1', 'other0', 'other1']) {
      await images.store.pull(`${name}:${tag}`, new Transfer());
    }
    expect(images.store.list().map(({ id }) => id)).toEqual(
      [docker, ...others].map(({ id }) => id),
    );
  });

  it('waits for a slot when there are more than three layers', async () => {
    const tars = await Promise.all([1, 2, 3, 4, 5].map((n) => fileLayer(`f${String(n)}`, 'x')));
    const image = imageOf(tars);
    const { images, name } = await bench(image);
    const transfer = new Transfer();
    await images.store.pull(`${name}:1`, transfer);
    expect(transfer.statuses(idOf(image.layers[3]!)).slice(0, 2)).toEqual([
      'Pulling fs layer',
      'Waiting',
    ]);
    expect(transfer.statuses(idOf(first(image)))).not.toContain('Waiting');
  });

  it('chooses from an index by platform, and remembers the digest of the index', async () => {
    const amd = await smallImage();
    const armPlatform = { os: 'linux', architecture: 'arm64' };
    const arm = imageOf([await fileLayer('arm', 'x')], { platform: armPlatform });
    const { registry, images, name } = await bench(amd);
    registry.addImage('app', null, arm);
    const index = indexOf([
      [amd, { os: 'linux', architecture: 'amd64' }],
      [arm, armPlatform],
    ]);
    registry.addManifest('app', 'multi', index);
    const pulled = await images.store.pull(`${name}:multi`, forPlatform(armPlatform));
    expect(pulled.id).toBe(arm.id);
    expect(pulled.repoDigests).toEqual([`${name}@${index.digest}`]);

    const wanted = forPlatform({ os: 'linux', architecture: 's390x' });
    await expect(images.store.pull(`${name}:multi`, wanted)).rejects.toThrow(
      'no matching manifest for linux/s390x in the manifest list entries',
    );
    await expect(images.store.pull(`${name}:1`, wanted)).rejects.toThrow(
      `image with reference ${name}:1 was found but does not match the specified platform: wanted linux/s390x, actual: linux/amd64`,
    );
  });

  it('by digest makes no tag', async () => {
    const image = await smallImage();
    const { images, name } = await bench(image);
    const reference = `${name}@${image.manifest.digest}`;
    const transfer = new Transfer();
    const record = await images.store.pull(reference, transfer);
    expect(record).toMatchObject({ repoTags: [], repoDigests: [reference] });
    expect(transfer.messages[0]).toEqual({
      status: 'Pulling from app',
      id: image.manifest.digest,
    });
    expect(images.store.get(reference).id).toBe(image.id);
  });

  it('of all tags goes through every page of the list', async () => {
    const { registry, images, name } = await bench(await smallImage());
    for (const tag of ['2', '3', '4', '5']) registry.addImage('app', tag, await smallImage());
    const records = await images.store.pullAllTags(name, new Transfer());
    expect(records).toHaveLength(5);
    expect(images.store.list()[0]?.repoTags).toHaveLength(5);
  });
});

describe('a layer that several pulls want', () => {
  it('is fetched once, and all of them see it move', async () => {
    const image = await bigImage();
    const { registry, images, name } = await bench(image);
    registry.addImage('app', '2', image);
    const [one, two] = [new Transfer(), new Transfer()];
    await Promise.all([images.store.pull(`${name}:1`, one), images.store.pull(`${name}:2`, two)]);
    expect(registry.seen(first(image).digest)).toHaveLength(1);
    for (const transfer of [one, two]) {
      expect(transfer.statuses(idOf(first(image)))).toEqual(
        expect.arrayContaining(['Download complete', 'Pull complete']),
      );
    }
  });

  it('is taken over when the one that fetches it gives up', async () => {
    const image = await bigImage();
    const { registry, images, name } = await bench(image);
    registry.addImage('app', '2', image);
    const [one, two] = [new Transfer(), new Transfer()];
    one.onMessage = ({ status }) => {
      if (status === 'Downloading') one.abort(new Error('the client went away'));
    };
    const results = await Promise.allSettled([
      images.store.pull(`${name}:1`, one),
      images.store.pull(`${name}:2`, two),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(await images.store.layers(image.id)).toHaveLength(1);
  });

  it('is there once when an image has it twice', async () => {
    const tar = await fileLayer('same', 'x');
    const image = imageOf([tar, tar]);
    const { registry, images, name } = await bench(image);
    await images.store.pull(`${name}:1`, new Transfer());
    expect(registry.seen(first(image).digest)).toHaveLength(1);
    expect(await images.store.layers(image.id)).toHaveLength(2);
  });
});

describe('a bad connection', () => {
  it('that breaks in the middle is resumed where it broke', async () => {
    const image = await bigImage();
    const { registry, images, name } = await bench(image);
    registry.intercept = cutting(first(image), 1_000_000, 2);
    const transfer = new Transfer();
    await images.store.pull(`${name}:1`, transfer);
    const ranges = registry.seen(first(image).digest).map(({ range }) => range);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(transfer.statuses(idOf(first(image)))).toContain('Retrying in 1 second');
  });

  it('is mended even when the registry knows no ranges', async () => {
    const image = await bigImage();
    const { registry, images, name } = await bench(image);
    registry.ignoresRanges = true;
    registry.intercept = cutting(first(image), 1_000_000, 1);
    await images.store.pull(`${name}:1`, new Transfer());
    expect(await images.store.layers(image.id)).toHaveLength(1);
  });

  it('leaves a part that the next pull goes on with, also after a restart', async () => {
    const image = await bigImage();
    const { registry, images, name } = await bench(image);
    const transfer = new Transfer();
    registry.intercept = (request, response) => {
      if (!(request.url ?? '').endsWith(first(image).digest)) return false;
      response.setHeader('content-length', first(image).bytes.length);
      response.write(first(image).bytes.subarray(0, 1_000_000));
      setTimeout(() => {
        transfer.abort(new Error('cancelled'));
      }, 200);
      return true;
    };
    await expect(images.store.pull(`${name}:1`, transfer)).rejects.toThrow('cancelled');
    expect(images.store.list()).toEqual([]);
    expect(await readdir(path.join(images.directory, 'layers'))).toEqual([]);
    await images.reopen();

    registry.intercept = () => false;
    await images.store.pull(`${name}:1`, new Transfer());
    expect(registry.seen(first(image).digest).at(-1)?.range).toBe('bytes=1000000-');
  });

  it('does not trust a part that went bad on the disk', async () => {
    const image = await bigImage();
    const { images, name } = await bench(image);
    const part = path.join(images.directory, 'blobs', `${first(image).digest.slice(7)}.part`);
    await writeFile(part, Buffer.alloc(500_000));
    await images.store.pull(`${name}:1`, new Transfer());
    expect(await images.store.layers(image.id)).toHaveLength(1);
  });

  it('is tried again while the registry is busy', async () => {
    const { registry, images, name } = await bench(await smallImage());
    registry.intercept = failing('/manifests/', 503, 2);
    await images.store.pull(`${name}:1`, new Transfer());
    registry.intercept = failing('/manifests/', 429, 1);
    await images.store.pull(`${name}:1`, new Transfer());
  });

  it('is given up in the end, with the reason', async () => {
    const { registry, images, name } = await bench(await smallImage());
    registry.intercept = failing('/manifests/', 500, 100);
    await expect(images.store.pull(`${name}:1`, new Transfer())).rejects.toThrow(
      /received unexpected HTTP status: 500/,
    );
  });

  it('says that nobody is there', async () => {
    const { registry, images, name } = await bench(await smallImage());
    await registry[Symbol.asyncDispose]().catch(() => undefined);
    const transfer = new Transfer();
    await expect(images.store.pull(`${name}:1`, transfer)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `Get "https://${registry.host}/v2/": connection refused`,
    });
    expect(transfer.messages).toEqual([]);
  });
});

describe('a bad image', () => {
  it('that does not exist is not found, before any progress', async () => {
    const { images, name } = await bench(await smallImage());
    const transfer = new Transfer();
    await expect(images.store.pull(`${name}:nope`, transfer)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `manifest for ${name}:nope not found: manifest unknown: manifest unknown`,
    });
    expect(transfer.messages).toEqual([]);
  });

  it.each([
    [
      'a layer of other content',
      (registry: TestRegistry, image: TestImage) => {
        registry.corrupt(first(image), Buffer.alloc(first(image).bytes.length));
      },
      /filesystem layer verification failed for digest sha256:/,
    ],
    [
      'a layer that is longer than told',
      (registry: TestRegistry, image: TestImage) => {
        registry.corrupt(first(image), Buffer.concat([first(image).bytes, Buffer.alloc(10)]));
      },
      /sends more than the \d+ bytes of the manifest/,
    ],
    [
      'a config of other content',
      (registry: TestRegistry, image: TestImage) => {
        registry.corrupt(image.config, json({}));
      },
      /image config verification failed/,
    ],
    [
      'a huge manifest',
      (registry: TestRegistry) => {
        registry.addManifest('app', '1', blobOf(Buffer.alloc(5_000_000, ' '), 'application/json'));
      },
      /manifest: larger than 4194304 bytes/,
    ],
    [
      'a manifest that is no JSON',
      (registry: TestRegistry) => {
        registry.addManifest('app', '1', blobOf(Buffer.from('<html>'), 'text/html'));
      },
      /manifest: it is not JSON/,
    ],
  ])('with %s is refused', async (_, spoil, message) => {
    const image = await smallImage();
    const { registry, images, name } = await bench(image);
    spoil(registry, image);
    await expect(images.store.pull(`${name}:1`, new Transfer())).rejects.toThrow(message);
    expect(images.store.list()).toEqual([]);
    expect(await images.store.collectGarbage()).toBeGreaterThanOrEqual(0);
    expect(await readdir(path.join(images.directory, 'blobs'))).toEqual([]);
    expect(await readdir(path.join(images.directory, 'layers'))).toEqual([]);
  });

  it('whose layer cannot be unpacked is refused by the reason', async () => {
    const broken = imageOf([await fileLayer('a', 'x'.repeat(5000))], { compression: 'none' });
    const tar = first(broken).bytes.subarray(0, 3000);
    const image = imageOf([tar], { compression: 'gzip' });
    const { images, name } = await bench(image);
    await expect(images.store.pull(`${name}:1`, new Transfer())).rejects.toThrow('it is truncated');
  });

  it('whose config speaks of other layers is refused', async () => {
    const image = imageOf([await fileLayer('a', '1')], {
      config: { rootfs: { type: 'layers', diff_ids: [sha256('x')] } },
    });
    const { images, name } = await bench(image);
    await expect(images.store.pull(`${name}:1`, new Transfer())).rejects.toThrow(
      /its content has the digest/,
    );
    const none = imageOf([]);
    const empty = await bench(none);
    await expect(empty.images.store.pull(`${empty.name}:1`, new Transfer())).rejects.toThrow(
      'the image has no layers',
    );
  });
});

describe('what a crash leaves', () => {
  it('a layer whose file vanished is fetched again', async () => {
    const image = await smallImage();
    const { images, name } = await bench(image);
    await images.store.pull(`${name}:1`, new Transfer());
    const [file] = await images.store.layers(image.id);
    const bytes = await readFile(file!.path);
    await rm(file!.path);
    await expect(images.store.layers(image.id)).rejects.toThrow(
      /the file of its layer .* is missing/,
    );
    await images.reopen();
    await images.store.pull(`${name}:1`, new Transfer());
    expect((await readFile((await images.store.layers(image.id))[0]!.path)).equals(bytes)).toBe(
      true,
    );
  });
});
