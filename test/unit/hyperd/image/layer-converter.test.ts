import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { LayerConverter } from '../../../../hyperd/image/layer-converter.ts';
import {
  checkErofs,
  extractErofs,
  listErofs,
  statErofs,
  testMkfsErofs,
} from '../../../support/erofs.ts';
import { sha256, tarOf } from '../../../support/registry-image.ts';

let mkfs = '';
beforeAll(async () => {
  mkfs = await testMkfsErofs();
}, 300_000);

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-layers-'));
});
afterEach(() => rm(directory, { recursive: true }));

const { signal } = new AbortController();

async function* piecesOf(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1000) {
    yield await Promise.resolve(bytes.subarray(at, at + 1000));
  }
}

async function convert(bytes: Buffer): Promise<string> {
  const converter = await LayerConverter.open(directory, mkfs);
  const { diffId } = await converter.convert(piecesOf(bytes), null, { signal });
  const image = converter.pathOf(diffId);
  await checkErofs(image);
  return image;
}

describe('converting a layer', () => {
  it.each([
    ['plain', (tar: Buffer) => tar],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('takes %s and names it by the digest of its tar', async (_, compress) => {
    const tar = await tarOf([{ name: 'etc/motd', content: 'hello' }]);
    const converter = await LayerConverter.open(directory, mkfs);
    const layer = await converter.convert(piecesOf(compress(tar)), sha256(tar), { signal });
    expect(layer).toEqual({ diffId: sha256(tar), sizeBytes: tar.length });
    expect(await statErofs(converter.pathOf(layer.diffId), '/etc/motd')).toMatchObject({
      kind: 'regular file',
      sizeBytes: 5,
    });
  });

  it('makes an image of an empty layer', async () => {
    const image = await convert(Buffer.alloc(10_240));
    expect(await statErofs(image, '/')).toMatchObject({
      kind: 'directory',
      mode: 'rwxr-xr-x',
      uid: 0,
    });
  });

  it('leaves no directory open to everybody that the layer only implies', async () => {
    const image = await convert(await tarOf([{ name: 'usr/local/bin/tool', mode: 0o755 }]));
    expect((await statErofs(image, '/')).mode).toBe('rwxr-xr-x');
    expect((await statErofs(image, '/usr/local')).mode).toBe('rwxr-xr-x');
  });

  it('keeps owners beyond 2^21, modes, hard links and devices', async () => {
    const image = await convert(
      await tarOf([
        { name: 'f', mode: 0o4711, pax: { uid: '3000000', gid: '4000000000' } },
        { name: 'g', type: 'link', linkname: 'f' },
        { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
      ]),
    );
    expect(await statErofs(image, '/g')).toMatchObject({
      uid: 3_000_000,
      gid: 4_000_000_000,
      mode: 'rwx--x--x',
      links: 2,
    });
    expect((await statErofs(image, '/null')).kind).toBe('char dev');
  });

  it('keeps set-user-id and sticky bits', async () => {
    const image = await convert(
      await tarOf([
        { name: 'su', mode: 0o4755 },
        { name: 'tmp/', type: 'directory', mode: 0o1777 },
      ]),
    );
    const files = path.join(directory, 'extracted');
    await extractErofs(image, files);
    expect((await stat(path.join(files, 'su'))).mode & 0o7777).toBe(0o4755);
    expect((await stat(path.join(files, 'tmp'))).mode & 0o7777).toBe(0o1777);
  });

  it('turns whiteouts into what overlayfs understands', async () => {
    const image = await convert(
      await tarOf([{ name: 'a/.wh.gone' }, { name: 'b/.wh..wh..opq' }, { name: 'b/new' }]),
    );
    expect(await statErofs(image, '/a/gone')).toMatchObject({ kind: 'char dev', links: 1 });
    expect(await listErofs(image, '/b')).toEqual(['new']);
    expect((await readFile(image)).includes('overlay.opaque')).toBe(true);
  });

  it('keeps extended attributes, file capabilities among them', async () => {
    const image = await convert(
      await tarOf([
        {
          name: 'ping',
          pax: { 'SCHILY.xattr.user.note': 'kept', 'SCHILY.xattr.security.capability': 'CAPVALUE' },
        },
      ]),
    );
    const bytes = await readFile(image);
    expect([bytes.includes('notekept'), bytes.includes('capabilityCAPVALUE')]).toEqual([
      true,
      true,
    ]);
  });

  it('makes the same bytes of the same tar', async () => {
    const tar = await tarOf([{ name: 'a/b', content: 'x'.repeat(9000) }]);
    const first = await readFile(await convert(tar));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await readFile(await convert(gzipSync(tar)))).equals(first)).toBe(true);
  });

  it('refuses a layer that is not the one of the config, and leaves nothing', async () => {
    const converter = await LayerConverter.open(directory, mkfs);
    const tar = await tarOf([{ name: 'f' }]);
    await expect(converter.convert(piecesOf(tar), sha256('other'), { signal })).rejects.toThrow(
      /its content has the digest sha256:.*the image config says sha256:/,
    );
    expect(await readdir(directory)).toEqual([]);
  });

  it('stops when asked to, and leaves nothing', async () => {
    const converter = await LayerConverter.open(directory, mkfs);
    const abort = new AbortController();
    async function* endless(): AsyncGenerator<Buffer> {
      yield (await tarOf([{ name: 'f', content: 'x'.repeat(100_000) }])).subarray(0, 50_000);
      abort.abort(new Error('enough'));
      for (;;) yield await new Promise((resolve) => setTimeout(resolve, 5, Buffer.alloc(10)));
    }
    await expect(converter.convert(endless(), null, { signal: abort.signal })).rejects.toThrow(
      'enough',
    );
    expect(await readdir(directory)).toEqual([]);
  });

  it('says that mkfs.erofs is missing', async () => {
    const converter = await LayerConverter.open(directory, '/nonexistent/mkfs.erofs');
    await expect(converter.convert(piecesOf(Buffer.alloc(1024)), null, { signal })).rejects.toThrow(
      /mkfs\.erofs cannot be started: .*No such file/,
    );
  });

  it('removes what a killed daemon left', async () => {
    await writeFile(path.join(directory, '7.tmp'), 'half');
    await LayerConverter.open(directory, mkfs);
    expect(await readdir(directory)).toEqual([]);
  });
});
