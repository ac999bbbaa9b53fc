import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';

import { buildLayer, digestOf, unpackBlob } from '../../../images/layer-blob.ts';
import { LayerTree } from '../../../images/layer-tree.ts';

function sampleTree(): LayerTree {
  const tree = new LayerTree();
  tree.addFile('etc/motd', 'hello\n'.repeat(500));
  return tree;
}

describe('buildLayer', () => {
  it.each(['gzip', 'zstd'] as const)('makes the same %s blob every time', async (compression) => {
    const first = await buildLayer(sampleTree(), compression, 'test');
    const second = await buildLayer(sampleTree(), compression, 'test');
    expect(second.blob.bytes).toEqual(first.blob.bytes);
    expect(first.blob.digest).toBe(digestOf(first.blob.bytes));
    expect(first.blob.mediaType).toBe(`application/vnd.oci.image.layer.v1.tar+${compression}`);
  });

  it('writes neither time nor name into the gzip header', async () => {
    const { blob } = await buildLayer(sampleTree(), 'gzip', 'test');
    expect([...blob.bytes.subarray(0, 4)]).toEqual([0x1f, 0x8b, 8, 0]);
    expect(blob.bytes.readUInt32LE(4)).toBe(0);
  });

  it.each(['gzip', 'zstd'] as const)('names the digest of the %s layer unpacked', async (kind) => {
    const { blob, diffId } = await buildLayer(sampleTree(), kind, 'test');
    const tar = await buffer(unpackBlob(Readable.from([blob.bytes]), blob.mediaType));
    expect(`sha256:${createHash('sha256').update(tar).digest('hex')}`).toBe(diffId);
  });

  it('gives one diffId whatever the compression', async () => {
    const gzip = await buildLayer(sampleTree(), 'gzip', 'test');
    const zstd = await buildLayer(sampleTree(), 'zstd', 'test');
    expect(zstd.diffId).toBe(gzip.diffId);
    expect(zstd.blob.digest).not.toBe(gzip.blob.digest);
  });
});
