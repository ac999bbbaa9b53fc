import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';

import { TarFilter } from '../../../../hyperd/image/tar-filter.ts';
import { tarOf } from '../../../support/registry-image.ts';

async function filtered(tar: Buffer, chunkBytes = tar.length): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < tar.length; at += chunkBytes)
    pieces.push(tar.subarray(at, at + chunkBytes));
  const out: Buffer[] = [];
  await pipeline(Readable.from(pieces), new TarFilter('layer x'), async (source) => {
    for await (const chunk of source as AsyncIterable<Buffer>) out.push(chunk);
  });
  return Buffer.concat(out);
}

async function entriesOf(tar: Buffer): Promise<readonly string[]> {
  const found: string[] = [];
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    found.push(`${header.type} ${header.name} ${header.mode.toString(8)}`);
    stream.on('end', next).resume();
  });
  await pipeline(Readable.from([tar]), reader);
  return found;
}

describe('the tar filter', () => {
  it('adds the directories that a layer implies, once and above their files', async () => {
    const tar = await tarOf([
      { name: 'a/b/x' },
      { name: 'a/b/y' },
      { name: 'a/c/', type: 'directory' },
    ]);
    expect(await entriesOf(await filtered(tar))).toEqual([
      'directory ./ 755',
      'directory a/ 755',
      'directory a/b/ 755',
      'file a/b/x 644',
      'file a/b/y 644',
      'directory a/c/ 755',
    ]);
  });

  it('leaves what the layer says of its directories', async () => {
    const tar = await tarOf([
      { name: './', type: 'directory', mode: 0o700 },
      { name: 'tmp', type: 'directory', mode: 0o1777 },
      { name: 'tmp/x' },
    ]);
    const out = await filtered(tar);
    expect(await entriesOf(out)).toEqual([
      'directory ./ 700',
      'directory tmp 1777',
      'file tmp/x 644',
    ]);
    expect(out.equals(tar)).toBe(true);
  });

  it('makes a root of an empty layer', async () => {
    expect(await entriesOf(await filtered(Buffer.alloc(1024)))).toEqual(['directory ./ 755']);
  });

  it.each([1, 7, 511, 512, 513, 10_000])('gives the same in chunks of %i bytes', async (bytes) => {
    const tar = await tarOf([
      { name: `${'d'.repeat(120)}/${'f'.repeat(120)}`, content: 'x'.repeat(700) },
      { name: '.wh.gone' },
      { name: 'é', content: 'y', pax: { 'SCHILY.xattr.user.a': 'b' } },
    ]);
    expect((await filtered(tar, bytes)).equals(await filtered(tar))).toBe(true);
  });

  it('makes implied directories of long and of non-ASCII names', async () => {
    const long = `${'é'.repeat(70)}/${'f'.repeat(90)}`;
    const entries = await entriesOf(await filtered(await tarOf([{ name: `${long}/x` }])));
    expect(entries).toContain(`directory ${long}/ 755`);
  });

  it('brings whiteouts of any type into one form', async () => {
    const tar = await tarOf([
      { name: 'a/.wh.gone', content: 'left over' },
      { name: '.wh.link', type: 'link', linkname: 'a/.wh.gone' },
      { name: 'b/.wh..wh..opq', mode: 0o600 },
    ]);
    expect(await entriesOf(await filtered(tar))).toEqual([
      'directory ./ 755',
      'directory a/ 755',
      'file a/.wh.gone 644',
      'file .wh.link 644',
      'directory b/ 755',
      'file b/.wh..wh..opq 644',
    ]);
  });

  it('drops what AUFS kept for itself, and an opaque root', async () => {
    const tar = await tarOf([
      { name: '.wh..wh.aufs', content: 'x' },
      { name: '.wh..wh.plnk/12.3', content: 'y'.repeat(600) },
      { name: '.wh..wh..opq' },
      { name: 'f', content: 'z' },
    ]);
    expect(await entriesOf(await filtered(tar))).toEqual(['directory ./ 755', 'file f 644']);
  });

  it('drops remarks on the whole archive', async () => {
    const tar = await tarOf([{ name: 'pax_global_header', content: 'x' }, { name: 'f' }]);
    tar[156] = 'g'.charCodeAt(0);
    fixChecksum(tar);
    expect(await entriesOf(await filtered(tar))).toEqual(['directory ./ 755', 'file f 644']);
  });

  it('ignores what follows the end mark', async () => {
    const tar = Buffer.concat([await tarOf([{ name: 'f' }]), Buffer.from('rubbish')]);
    expect(await entriesOf(await filtered(tar))).toEqual(['directory ./ 755', 'file f 644']);
  });

  it('takes a directory that an old tar wrote as a file with a slash', async () => {
    const tar = await tarOf([{ name: 'old/', type: 'directory' }]);
    tar[156] = 0x30;
    fixChecksum(tar);
    expect(await entriesOf(await filtered(tar))).toEqual([
      'directory ./ 755',
      'directory old/ 755',
    ]);
  });
});

function fixChecksum(tar: Buffer): void {
  tar.fill(0x20, 148, 156);
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
