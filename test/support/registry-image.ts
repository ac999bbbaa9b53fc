import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { type Header, pack } from 'tar-stream';

/** A blob with what a manifest says of it. */
export interface TestBlob {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

export interface TestImage {
  readonly id: string;
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
  readonly diffIds: readonly string[];
  readonly manifest: TestBlob;
}

export interface TestImageOptions {
  readonly compression?: 'gzip' | 'zstd' | 'none';
  readonly platform?: { os: string; architecture: string; variant?: string };
  /** Changes to the config blob's object. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Docker's media types instead of OCI's. */
  readonly docker?: boolean;
}

export type TarEntry = Partial<Header> & {
  readonly name: string;
  readonly content?: string | Buffer;
};

export function sha256(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function blobOf(bytes: Buffer, mediaType: string): TestBlob {
  return { bytes, mediaType, digest: sha256(bytes) };
}

/** A tar of the entries, in their order; nothing is added. */
export async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of entries) {
    tar.entry({ mtime: new Date('2026-01-01T00:00:00Z'), ...header }, content ?? '');
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A layer with one file. */
export function fileLayer(name: string, content: string | Buffer): Promise<Buffer> {
  return tarOf([{ name, content }]);
}

/** An image of layer tars. */
export function imageOf(tars: readonly Buffer[], options: TestImageOptions = {}): TestImage {
  const { compression = 'gzip', platform = { os: 'linux', architecture: 'amd64' } } = options;
  const types = options.docker === true ? dockerTypes : ociTypes;
  const layers = tars.map((tar) =>
    blobOf(compress(tar, compression), `${types.layer}${types.suffixes[compression]}`),
  );
  const diffIds = tars.map(sha256);
  const config = blobOf(
    json({
      created: '2026-01-02T03:04:05Z',
      ...platform,
      config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: diffIds.map((_, index) => ({ created_by: `layer ${String(index)}` })),
      ...options.config,
    }),
    types.config,
  );
  const manifest = blobOf(
    json({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: descriptorOf(config),
      layers: layers.map(descriptorOf),
    }),
    types.manifest,
  );
  return { id: config.digest, config, layers, diffIds, manifest };
}

/** An OCI index of images by platform. */
export function indexOf(images: readonly (readonly [TestImage, object])[]): TestBlob {
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const manifests = images.map(([image, platform]) => ({
    ...descriptorOf(image.manifest),
    platform,
  }));
  return blobOf(json({ schemaVersion: 2, mediaType, manifests }), mediaType);
}

export function descriptorOf({ bytes, mediaType, digest }: TestBlob) {
  return { mediaType, digest, size: bytes.length };
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function compress(bytes: Buffer, compression: 'gzip' | 'zstd' | 'none'): Buffer {
  if (compression === 'none') return bytes;
  return compression === 'gzip' ? gzipSync(bytes) : zstdCompressSync(bytes);
}

const ociTypes = {
  config: 'application/vnd.oci.image.config.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  suffixes: { gzip: '+gzip', zstd: '+zstd', none: '' },
};
const dockerTypes = {
  config: 'application/vnd.docker.container.image.v1+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar',
  suffixes: { gzip: '.gzip', zstd: '.zstd', none: '' },
};
