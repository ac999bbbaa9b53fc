import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isHyperError } from '../../hyperd/base/error.ts';
import { LayerConverter } from '../../hyperd/image/layer-converter.ts';
import { checkErofs, testMkfsErofs } from '../support/erofs.ts';
import { type TarEntry, tarOf } from '../support/registry-image.ts';

let directory = '';
let converter: LayerConverter;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-layers-'));
  converter = await LayerConverter.open(directory, await testMkfsErofs());
}, 300_000);
afterAll(() => rm(directory, { recursive: true }));

const signal = new AbortController().signal;

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}

/** What converting says; the image must be sound and no temporary file may stay. */
async function verdictOn(bytes: Buffer): Promise<string> {
  try {
    const { diffId } = await converter.convert(chunksOf(bytes), null, { signal });
    await checkErofs(converter.pathOf(diffId));
    await converter.remove(diffId);
    return 'converted';
  } catch (thrown) {
    return isHyperError(thrown)
      ? `${thrown.code}: ${thrown.message}`
      : `unexpected: ${String(thrown)}`;
  } finally {
    expect(await readdir(directory)).toEqual([]);
  }
}

const hostile: readonly (readonly [string, readonly TarEntry[], RegExp])[] = [
  ['a name that climbs', [{ name: '../x' }], /INVALID_ARGUMENT: layer: .*points out of the root/],
  ['a name that climbs in its middle', [{ name: 'a/../../x' }], /points out of the root/],
  [
    'a long name that climbs',
    [{ name: `${'a/'.repeat(80)}${'../'.repeat(90)}x` }],
    /points out of the root/,
  ],
  ['a pax name that climbs', [{ name: 'x', pax: { path: '../x' } }], /points out of the root/],
  [
    'a hard link out of the root',
    [{ name: 'x', type: 'link', linkname: '../../etc/shadow' }],
    /points out of the root/,
  ],
  [
    'a pax hard link out of the root',
    [{ name: 'x', type: 'link', linkname: 'y', pax: { linkpath: '../y' } }],
    /points out of the root/,
  ],
  [
    'a hard link to nothing',
    [{ name: 'x', type: 'link', linkname: 'y' }],
    /mkfs\.erofs cannot convert/,
  ],
  [
    'entries beneath a symbolic link',
    [
      { name: 'etc', type: 'symlink', linkname: '/host/etc' },
      { name: 'etc/passwd', content: 'root' },
    ],
    /UNSUPPORTED: layer: it has entries beneath "etc", which is a symbolic link/,
  ],
  ['a whiteout of nothing', [{ name: 'a/.wh.' }], /names no file/],
  ['a whiteout of its own directory', [{ name: 'a/.wh..' }], /names no file/],
  ['a whiteout of the parent', [{ name: 'a/.wh...' }], /names no file/],
  ['a NUL in a name', [{ name: 'x', pax: { path: 'a\0b' } }], /has a NUL/],
  ['an endless name', [{ name: 'x', pax: { path: 'a/'.repeat(3000) } }], /is too long/],
  ['a name longer than a file system takes', [{ name: 'n'.repeat(256) }], /is too long/],
  [
    'an endless symbolic link',
    [{ name: 'x', type: 'symlink', linkname: 'y', pax: { linkpath: 'y'.repeat(5000) } }],
    /no valid target/,
  ],
  ['a sparse file', [{ name: 'x', pax: { 'GNU.sparse.major': '1' } }], /UNSUPPORTED.*sparse/],
  ['a size that is none', [{ name: 'x', pax: { size: '-5' } }], /extension header is damaged/],
  ['an absurd size', [{ name: 'x', pax: { size: '9007199254740993' } }], /no valid size/],
  [
    'two sizes that differ',
    [{ name: 'x', content: 'y'.repeat(2000), pax: { size: '5' } }],
    /a header is damaged/,
  ],
];

describe('a hostile layer', () => {
  it.each(hostile)('with %s is refused', async (_, entries, verdict) => {
    expect(await verdictOn(await tarOf(entries))).toMatch(verdict);
  });

  it('may have absolute names and links: they stay inside', async () => {
    const tar = await tarOf([
      { name: '/abs/file', content: 'x' },
      { name: 'link', type: 'symlink', linkname: '../../../etc/shadow' },
      { name: 'hard', type: 'link', linkname: '/abs/file' },
    ]);
    expect(await verdictOn(tar)).toBe('converted');
  });

  it('may have devices: they live in the guest', async () => {
    const tar = await tarOf([
      { name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 },
      { name: 'mem', type: 'character-device', devmajor: 1, devminor: 1 },
      { name: 'fifo', type: 'fifo' },
    ]);
    expect(await verdictOn(tar)).toBe('converted');
  });

  it('is refused when it is truncated, wherever that is', async () => {
    const tar = await tarOf([{ name: 'f', content: 'x'.repeat(5000) }, { name: 'g' }]);
    for (const length of [1, 511, 700, 3000, 5900]) {
      expect(await verdictOn(tar.subarray(0, length))).toMatch(/INVALID_ARGUMENT.*truncated/);
    }
    expect(await verdictOn(gzipSync(tar).subarray(0, 60))).toMatch(/cannot be decompressed/);
  });

  it('is refused when it is no tar, or of another compression', async () => {
    expect(await verdictOn(Buffer.alloc(2048, 'x'))).toMatch(/it is no tar archive/);
    expect(await verdictOn(Buffer.from('fd377a585a000000', 'hex'))).toMatch(/UNSUPPORTED.*xz/);
    expect(await verdictOn(gzipSync('hello'))).toMatch(/truncated/);
  });

  it('never brings about anything but an image or a refusal', async () => {
    const name = fc.constantFrom(
      'a',
      'a/b',
      './',
      '/',
      'a/.wh.b',
      '.wh..wh..opq',
      'a/..',
      '',
      '.wh.',
      'é/ü',
    );
    const type = fc.constantFrom(
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
      'x',
      'L',
      'K',
      'g',
      'S',
      'Z',
      '\0',
    );
    const entry = fc.record({ name, type, size: fc.integer({ min: 0, max: 1200 }), link: name });
    const property = fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
      const tar = Buffer.concat([...entries.map(rawEntry), Buffer.alloc(1024)]);
      expect(await verdictOn(tar)).toMatch(
        /^(converted|INVALID_ARGUMENT|UNSUPPORTED|INTERNAL: layer: mkfs)/,
      );
    });
    await fc.assert(property, { numRuns: 100 });
  }, 60_000);

  it('never crashes mkfs.erofs with flipped bits', async () => {
    const tar = await tarOf([
      {
        name: 'a/b',
        content: 'x'.repeat(900),
        uid: 3_000_000,
        pax: { 'SCHILY.xattr.user.k': 'v' },
      },
      { name: 'a/.wh.c' },
      { name: 'd', type: 'link', linkname: 'a/b' },
    ]);
    const property = fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { maxLength: 3 }),
      async (changes) => {
        const damaged = Buffer.from(tar);
        for (const [at, value] of changes) damaged[at] = value;
        expect(await verdictOn(damaged)).not.toMatch(/unexpected|killed/);
      },
    );
    await fc.assert(property, { numRuns: 100 });
  }, 60_000);
});

function rawEntry({
  name,
  type,
  size,
  link,
}: {
  name: string;
  type: string;
  size: number;
  link: string;
}) {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write('0000644\0' + '0000000\0' + '0000000\0', 100);
  header.write(`${size.toString(8).padStart(11, '0')}\0` + '00000000000\0', 124);
  header.write(' '.repeat(8) + type, 148, 'latin1');
  header.write(link, 157);
  header.write('ustar\0' + '00', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, Buffer.alloc(Math.ceil(size / 512) * 512, 'y')]);
}
