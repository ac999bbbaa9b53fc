import { createHash } from 'node:crypto';
import type { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  constants,
  createGunzip,
  createGzip,
  createZstdCompress,
  createZstdDecompress,
} from 'node:zlib';

import { packLayer } from './layer-tar.ts';
import type { LayerTree } from './layer-tree.ts';

export type LayerCompression = 'gzip' | 'zstd';

/** Bytes with the name that they have in an image. */
export interface Blob {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/** A compressed layer, with its line in the image's history. */
export interface BuiltLayer {
  readonly diffId: string;
  readonly blob: Blob;
  readonly createdBy: string;
}

const layerMediaType = 'application/vnd.oci.image.layer.v1.tar+';

/** Packs a tree into a layer blob: the same tree gives the same bytes. */
export async function buildLayer(
  tree: LayerTree,
  compression: LayerCompression,
  createdBy: string,
): Promise<BuiltLayer> {
  const diffHash = createHash('sha256');
  const chunks: Buffer[] = [];
  await pipeline(
    packLayer(tree),
    async function* (tar: AsyncIterable<Buffer>) {
      for await (const chunk of tar) {
        diffHash.update(chunk);
        yield chunk;
      }
    },
    compressor(compression),
    async (compressed: AsyncIterable<Buffer>) => {
      for await (const chunk of compressed) chunks.push(chunk);
    },
  );
  const blob = blobOf(Buffer.concat(chunks), `${layerMediaType}${compression}`);
  return { diffId: `sha256:${diffHash.digest('hex')}`, blob, createdBy };
}

/** The tar of a layer blob that `buildLayer` made. */
export function unpackBlob(bytes: Readable, mediaType: string): Transform {
  return bytes.pipe(
    mediaType === `${layerMediaType}zstd` ? createZstdDecompress() : createGunzip(),
  );
}

export function blobOf(bytes: Buffer, mediaType: string): Blob {
  return { digest: digestOf(bytes), bytes, mediaType };
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function compressor(compression: LayerCompression): Transform {
  // Node's gzip header has neither time nor name, so it is the same every time.
  return compression === 'gzip'
    ? createGzip({ level: 6 })
    : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 6 } });
}
