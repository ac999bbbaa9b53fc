import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { buildLayer, digestOf } from '../../../images/layer-blob.ts';
import { readTarFiles } from '../../../images/layer-tar.ts';
import { LayerTree } from '../../../images/layer-tree.ts';
import { readBaseImage, writeImageArchive } from '../../../images/oci-archive.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-images-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function writeSample(name: string): Promise<string> {
  const lower = new LayerTree();
  lower.addFile('etc/motd', 'lower');
  lower.addFile('etc/base', 'base');
  const upper = new LayerTree(lower);
  upper.addFile('etc/motd', 'upper');
  const layers = [
    await buildLayer(lower, 'gzip', 'first'),
    await buildLayer(upper, 'zstd', 'second'),
  ];
  const file = path.join(directory, name);
  await writeImageArchive(file, 'sample:latest', { Cmd: ['sh'] }, layers);
  return file;
}

const json = (bytes: Buffer | undefined): unknown => JSON.parse(bytes!.toString('utf8'));

describe('writeImageArchive', () => {
  it('writes an OCI layout whose blobs bear their digests', async () => {
    const files = await readTarFiles(createReadStream(await writeSample('a.tar')));
    expect(json(files.get('oci-layout'))).toEqual({ imageLayoutVersion: '1.0.0' });
    const blobs = [...files].filter(([name]) => name.startsWith('blobs/'));
    expect(blobs).toHaveLength(4);
    for (const [name, bytes] of blobs) {
      expect(`blobs/${digestOf(bytes).replace(':', '/')}`).toBe(name);
    }
    expect(json(files.get('index.json'))).toMatchObject({
      manifests: [
        {
          annotations: {
            'io.containerd.image.name': 'docker.io/library/sample:latest',
            'org.opencontainers.image.ref.name': 'latest',
          },
        },
      ],
    });
  });

  it('writes a docker-archive manifest that names the same blobs', async () => {
    const files = await readTarFiles(createReadStream(await writeSample('a.tar')));
    const [manifest] = json(files.get('manifest.json')) as [
      { Config: string; RepoTags: string[]; Layers: string[] },
    ];
    expect(manifest.RepoTags).toEqual(['sample:latest']);
    expect(manifest.Layers).toHaveLength(2);
    for (const name of [manifest.Config, ...manifest.Layers]) expect(files.has(name)).toBe(true);
    expect(json(files.get(manifest.Config))).toMatchObject({
      os: 'linux',
      config: { Cmd: ['sh'] },
      history: [{ created_by: 'first' }, { created_by: 'second' }],
    });
  });

  it('writes the same bytes every time', async () => {
    const [first, second] = [await writeSample('a.tar'), await writeSample('b.tar')];
    expect(await readFile(second)).toEqual(await readFile(first));
  });
});

describe('readBaseImage', () => {
  it('gives the layers and their files, upper over lower', async () => {
    const { layers, tree } = await readBaseImage(await writeSample('a.tar'));
    expect(layers.map(({ createdBy }) => createdBy)).toEqual(['first', 'second']);
    expect(tree.readText('etc/motd')).toBe('upper');
    expect(tree.readText('etc/base')).toBe('base');
  });

  it('refuses a damaged blob', async () => {
    const file = await writeSample('a.tar');
    const bytes = await readFile(file);
    const at = bytes.indexOf('created_by');
    bytes.write('X', at);
    await writeFile(file, bytes);
    await expect(readBaseImage(file)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/missing or damaged/) as string,
    });
  });
});
