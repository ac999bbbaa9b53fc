import { randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { chainIds } from '../../../../hyperd/image/chain-id.ts';
import { testMkfsErofs } from '../../../support/erofs.ts';
import {
  descriptorOf,
  fileLayer,
  imageOf,
  indexOf,
  json,
  sha256,
  tarOf,
  type TestImage,
} from '../../../support/registry-image.ts';
import { StoreBench, Transfer } from './store-bench.ts';

beforeAll(() => testMkfsErofs(), 300_000);

async function openBench(): Promise<StoreBench> {
  const bench = await StoreBench.open();
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return bench;
}

/** As `docker save` writes it. */
function dockerArchive(images: readonly (readonly [TestImage, readonly string[]])[]) {
  const files = images.flatMap(([image]) => [
    { name: `${image.id.slice(7)}.json`, content: image.config.bytes },
    ...image.layers.map((layer) => ({
      name: `${layer.digest.slice(7)}/layer.tar`,
      content: layer.bytes,
    })),
  ]);
  const manifest = images.map(([image, tags]) => ({
    Config: `${image.id.slice(7)}.json`,
    RepoTags: tags,
    Layers: image.layers.map(({ digest }) => `${digest.slice(7)}/layer.tar`),
  }));
  return tarOf([...files, { name: 'manifest.json', content: json(manifest) }]);
}

/** An OCI layout; the index comes last. */
function ociArchive(image: TestImage, name: string, first = image.manifest) {
  const blobs = [image.config, ...image.layers, image.manifest, first];
  const annotations = { 'io.containerd.image.name': name };
  return tarOf([
    ...blobs.map(({ digest, bytes }) => ({
      name: `blobs/sha256/${digest.slice(7)}`,
      content: bytes,
    })),
    { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', content: json({ manifests: [{ ...descriptorOf(first), annotations }] }) },
  ]);
}

function streamOf(bytes: Buffer): Readable {
  return Readable.from([bytes.subarray(0, 3), bytes.subarray(3)]);
}

async function loaded(bench: StoreBench, tag: string, content = tag): Promise<TestImage> {
  const image = imageOf([await fileLayer('base', 'shared'), await fileLayer('own', content)]);
  await bench.store.load(streamOf(await dockerArchive([[image, [tag]]])), new Transfer());
  return image;
}

const nobody = { force: false, noPrune: false, usedBy: () => [] };
const layerFiles = (bench: StoreBench) => readdir(path.join(bench.directory, 'layers'));

describe('load', () => {
  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('takes a docker archive (%s) with several images', async (_, compress) => {
    const bench = await openBench();
    const one = imageOf([await fileLayer('a', '1')], { compression: 'none' });
    const two = imageOf([await fileLayer('b', '2')], { compression: 'none' });
    const archive = compress(
      await dockerArchive([
        [one, ['one:1', 'r.io/one:2']],
        [two, []],
      ]),
    );
    const transfer = new Transfer();
    const result = await bench.store.load(streamOf(archive), transfer);
    expect(result).toEqual([
      { id: one.id, references: ['one:1', 'r.io/one:2'] },
      { id: two.id, references: [] },
    ]);
    expect(transfer.messages.filter(({ stream }) => stream !== undefined)).toEqual([
      { stream: 'Loaded image: one:1\n' },
      { stream: 'Loaded image: r.io/one:2\n' },
      { stream: `Loaded image ID: ${two.id}\n` },
    ]);
    expect(bench.store.get('docker.io/library/one:1').repoTags).toEqual(['one:1', 'r.io/one:2']);
  });

  it('takes an OCI layout, an index in it, and leaves signed statements aside', async () => {
    const bench = await openBench();
    const image = imageOf([await fileLayer('a', '1')]);
    const index = indexOf([
      [image, { os: 'linux', architecture: 'amd64' }],
      [image, { os: 'unknown', architecture: 'unknown' }],
    ]);
    await bench.store.load(
      streamOf(await ociArchive(image, 'docker.io/library/a:1')),
      new Transfer(),
    );
    await bench.store.load(
      streamOf(await ociArchive(image, 'docker.io/library/b:1', index)),
      new Transfer(),
    );
    expect(bench.store.get('a:1').repoTags).toEqual(['a:1', 'b:1']);
  });

  it('follows the links of docker save', async () => {
    const bench = await openBench();
    const image = imageOf([await fileLayer('a', '1'), await fileLayer('a', '1')], {
      compression: 'none',
    });
    const archive = await tarOf([
      { name: 'config.json', content: image.config.bytes },
      { name: 'x/layer.tar', content: image.layers[0]!.bytes },
      { name: 'y/layer.tar', type: 'symlink', linkname: '../x/layer.tar' },
      {
        name: 'manifest.json',
        content: json([
          { Config: 'config.json', RepoTags: ['a:1'], Layers: ['x/layer.tar', 'y/layer.tar'] },
        ]),
      },
    ]);
    await bench.store.load(streamOf(archive), new Transfer());
    expect(await bench.store.layers(image.id)).toHaveLength(2);
  });

  it.each([
    ['nothing', () => tarOf([{ name: 'readme', content: 'x' }]), /neither manifest.json/],
    ['rubbish', () => Promise.resolve(randomBytes(4096)), /image archive: /],
    ['nothing at all', () => Promise.resolve(Buffer.alloc(0)), /image archive: /],
    [
      'a layer that is missing',
      () => tarOf([{ name: 'manifest.json', content: json([{ Config: 'c', Layers: ['l'] }]) }]),
      /image archive: c is missing/,
    ],
    [
      'a name that climbs',
      () =>
        tarOf([
          { name: 'manifest.json', content: json([{ Config: '../../../etc/passwd', Layers: [] }]) },
        ]),
      /etc\/passwd is missing/,
    ],
    ['no layers', () => dockerArchive([[imageOf([]), ['none:1']]]), /an image has no layers/],
    [
      'a layer that is not the one of the config',
      async () => {
        const image = imageOf([await fileLayer('a', '1')], {
          config: { rootfs: { type: 'layers', diff_ids: [sha256('x')] } },
        });
        return dockerArchive([[image, ['bad:1']]]);
      },
      /its content has the digest/,
    ],
    [
      'a tag that is none',
      async () => dockerArchive([[imageOf([await fileLayer('a', '1')]), ['Bad Tag']]]),
      /invalid reference format/,
    ],
  ])('refuses an archive with %s, and leaves nothing', async (_, make, message) => {
    const bench = await openBench();
    const archive = await make();
    await expect(bench.store.load(streamOf(archive), new Transfer())).rejects.toThrow(message);
    expect(bench.store.list()).toEqual([]);
    await bench.store.collectGarbage();
    expect(await layerFiles(bench)).toEqual([]);
    expect(await readdir(bench.directory)).not.toContainEqual(expect.stringMatching(/^load-/));
  });
});

describe('import', () => {
  it('makes an image of a root filesystem and of changes', async () => {
    const bench = await openBench();
    const tar = gzipSync(await tarOf([{ name: 'bin/sh', content: 'x' }]));
    const transfer = new Transfer();
    const image = await bench.store.importRootfs(streamOf(tar), {
      signal: transfer.signal,
      onProgress: transfer.onProgress,
      reference: 'mine',
      message: 'from a tar',
      changes: ['CMD ["/bin/sh"]', 'ENV A=1', 'EXPOSE 80', 'LABEL a="b c"', 'WORKDIR /w', 'USER 7'],
    });
    expect(image).toMatchObject({ repoTags: ['mine:latest'], comment: 'from a tar' });
    expect(image.config).toMatchObject({
      Cmd: ['/bin/sh'],
      Env: ['A=1'],
      ExposedPorts: { '80/tcp': {} },
      Labels: { a: 'b c' },
      WorkingDir: '/w',
      User: '7',
    });
    expect(transfer.messages).toEqual([{ status: image.id }]);
    expect(bench.store.history('mine')).toMatchObject([{ id: image.id, comment: 'from a tar' }]);
  });

  it('refuses a change that is none, before it reads', async () => {
    const bench = await openBench();
    const options = { ...nothingHeard(), changes: ['RUN rm -rf /'] };
    await expect(bench.store.importRootfs(streamOf(Buffer.alloc(1024)), options)).rejects.toThrow(
      'RUN is not a valid change command',
    );
    expect(await layerFiles(bench)).toEqual([]);
  });
});

function nothingHeard() {
  const { signal, onProgress } = new Transfer();
  return { signal, onProgress };
}

describe('names', () => {
  it('find an image by name, digest, id and prefix', async () => {
    const bench = await openBench();
    const image = await loaded(bench, 'app:1');
    for (const name of [
      'app:1',
      'docker.io/library/app:1',
      image.id,
      image.id.slice(7),
      image.id.slice(7, 19),
    ]) {
      expect(bench.store.get(name).id).toBe(image.id);
    }
    expect(() => bench.store.get('app')).toThrow('No such image: app:latest');
    expect(() => bench.store.get('Ü')).toThrow('No such image: Ü');
  });

  it('are added, and moved from image to image', async () => {
    const bench = await openBench();
    const [one, two] = [await loaded(bench, 'one:1'), await loaded(bench, 'two:1')];
    bench.store.tag('one:1', 'host:5000/x');
    expect(bench.store.get(one.id).repoTags).toEqual(['host:5000/x:latest', 'one:1']);
    bench.store.tag('two:1', 'one:1');
    expect(bench.store.get('one:1').id).toBe(two.id);
    expect(() => {
      bench.store.tag('one:1', `x@${one.id}`);
    }).toThrow('refusing to create a tag with a digest reference');
    expect(() => {
      bench.store.tag('one:1', 'sha256:1');
    }).toThrow('refusing to create an ambiguous tag');
  });
});

describe('remove and collect', () => {
  it('keep a layer that another image has', async () => {
    const bench = await openBench();
    const [one, two] = [await loaded(bench, 'one:1'), await loaded(bench, 'two:1')];
    expect(await layerFiles(bench)).toHaveLength(3);
    const removed = await bench.store.remove('one:1', nobody);
    expect(removed).toEqual([
      { Untagged: 'one:1' },
      { Deleted: one.id },
      { Deleted: chainIds(one.diffIds)[1] },
    ]);
    expect(await layerFiles(bench)).toHaveLength(2);
    expect(await bench.store.layers(two.id)).toHaveLength(2);
  });

  it('keep the layers of a container until it lets go, also over a restart', async () => {
    const bench = await openBench();
    const image = await loaded(bench, 'one:1');
    bench.store.lease(image.id, 'container');
    await bench.store.remove('one:1', { ...nobody, force: true });
    expect(bench.store.list()).toEqual([]);
    await bench.reopen();
    await bench.store.collectGarbage();
    expect(await layerFiles(bench)).toHaveLength(2);
    bench.store.releaseLease('container');
    bench.store.releaseLease('container');
    expect(await bench.store.collectGarbage()).toBeGreaterThan(0);
    expect(await layerFiles(bench)).toEqual([]);
  });

  it('take nothing from an image that is being added, and come back for the rest', async () => {
    const bench = await openBench();
    const one = await loaded(bench, 'one:1');
    const archive = await dockerArchive([[imageOf([await fileLayer('n', 'new')]), ['new:1']]]);
    async function* slowly(): AsyncGenerator<Buffer> {
      yield archive.subarray(0, 1000);
      await bench.store.remove('one:1', nobody);
      expect(await layerFiles(bench)).toHaveLength(one.layers.length);
      yield archive.subarray(1000);
    }
    await bench.store.load(Readable.from(slowly()), new Transfer());
    expect(await layerFiles(bench)).toHaveLength(1);
  });

  it('sweep what a killed daemon left', async () => {
    const bench = await openBench();
    const at = (name: string) => path.join(bench.directory, name);
    await mkdir(at('load-abc'));
    await writeFile(at('layers/9.tmp'), 'half');
    await writeFile(at(`blobs/${'a'.repeat(64)}.part`), 'half');
    await bench.reopen();
    expect(await readdir(at('layers'))).toEqual([]);
    expect(await readdir(bench.directory)).not.toContain('load-abc');
    expect(await readdir(at('blobs'))).toHaveLength(1);
    await bench.store.collectGarbage();
    expect(await readdir(at('blobs'))).toEqual([]);
  });

  it('show the history of an image, newest first', async () => {
    const bench = await openBench();
    const image = await loaded(bench, 'one:1');
    const history = bench.store.history('one:1');
    expect(history.map(({ id, createdBy, tags }) => [id, createdBy, tags])).toEqual([
      [image.id, 'layer 1', ['one:1']],
      ['<missing>', 'layer 0', []],
    ]);
    expect(history.every(({ sizeBytes }) => sizeBytes > 0)).toBe(true);
  });
});
