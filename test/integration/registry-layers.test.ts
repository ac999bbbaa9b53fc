import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildDemoImage } from '../../images/build.ts';
import { readTarFiles } from '../../images/layer-tar.ts';
import { cacheDirectory } from '../../setup/paths.ts';
import { TestDaemon } from '../support/daemon.ts';
import { descriptorOf, imageOf, json, tarOf } from '../support/registry-image.ts';

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await TestDaemon.start([]);
  const archive = path.join(daemon.directory, 'layers.tar');
  await writeFile(archive, await layeredArchive());
  const loaded = await daemon.docker(['load', '-i', archive]);
  expect(loaded).toMatchObject({ code: 0, stdout: 'Loaded image: layered:1\n' });
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** The tar of the demo image's only layer that has a shell in it. */
async function busyboxLayer(): Promise<Buffer> {
  const archive = await buildDemoImage('busybox', { cacheDirectory, onProgress: () => undefined });
  const files = await readTarFiles(createReadStream(archive));
  const blob = (digest: string) => files.get(`blobs/${digest.replace(':', '/')}`)!;
  const index = JSON.parse(files.get('index.json')!.toString()) as {
    manifests: { digest: string }[];
  };
  const manifest = JSON.parse(blob(index.manifests[0]!.digest).toString()) as {
    layers: { digest: string }[];
  };
  return gunzipSync(blob(manifest.layers[0]!.digest));
}

/** An OCI layout of busybox, a layer of files above it, and one that takes some of them away. */
async function layeredArchive(): Promise<Buffer> {
  const files = await tarOf([
    { name: 'data/keep', content: 'kept' },
    { name: 'data/gone', content: 'gone' },
    { name: 'data/owned', content: '', mode: 0o4711, pax: { uid: '3000000', gid: '4000000' } },
    { name: 'data/linked', type: 'link', linkname: 'data/keep' },
    { name: 'full/old', content: 'old' },
  ]);
  const changes = await tarOf([
    { name: 'data/.wh.gone' },
    { name: 'full/.wh..wh..opq' },
    { name: 'full/new', content: 'new' },
  ]);
  const image = imageOf([await busyboxLayer(), files, changes]);
  const blobs = [image.config, ...image.layers, image.manifest];
  const annotations = { 'io.containerd.image.name': 'docker.io/library/layered:1' };
  const manifests = [{ ...descriptorOf(image.manifest), annotations }];
  return tarOf([
    ...blobs.map(({ digest, bytes }) => ({
      name: `blobs/sha256/${digest.slice(7)}`,
      content: bytes,
    })),
    { name: 'index.json', content: json({ manifests }) },
  ]);
}

describe('an image of several layers in a VM', () => {
  it('shows whiteouts, owners, links and modes as Docker would', async () => {
    const script = [
      'ls /data /full',
      'stat -c "%u:%g %a %h" /data/owned /data/keep',
      'cat /data/linked',
      'stat -c %a / /data /full',
    ].join('; ');
    const { stdout, stderr } = await daemon.docker([
      'run',
      '--rm',
      'layered:1',
      'sh',
      '-c',
      script,
    ]);
    expect({ lines: stdout.split('\n'), stderr }).toEqual({
      lines: [
        ...['/data:', 'keep', 'linked', 'owned', '', '/full:', 'new'],
        ...['3000000:4000000 4711 1', '0:0 644 2', 'kept755', '755', '755', ''],
      ],
      stderr: '',
    });
  });

  it('is not removed from under a container, and leaves no layer when it is removed', async () => {
    await daemon.docker(['create', '--name', 'user', 'layered:1', 'true']);
    const refused = await daemon.docker(['rmi', 'layered:1']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /conflict: unable to remove repository reference "layered:1" \(must force\) - container [0-9a-f]{12} is using its referenced image [0-9a-f]{12}/,
    );
    await daemon.docker(['rm', 'user']);
    const { stdout } = await daemon.docker(['rmi', 'layered:1']);
    expect(stdout.split('\n').map((line) => line.split(':')[0])).toEqual([
      ...['Untagged', 'Deleted', 'Deleted', 'Deleted', 'Deleted', ''],
    ]);
  });
});
