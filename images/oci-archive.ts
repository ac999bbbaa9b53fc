import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';

import { pack } from 'tar-stream';

import { fixedTime, type LayerTree } from './layer-tree.ts';

/** The `config` of an image, in OCI's field names. */
export interface DemoImageConfig {
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Env?: readonly string[];
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly StopSignal?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

export interface BuiltLayer {
  readonly diffId: string;
  readonly blob: Blob;
  readonly createdBy: string;
}

interface Blob {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly mediaType: string;
}

export type LayerCompression = 'gzip' | 'zstd';

/** Packs a tree into a layer blob. */
export async function buildLayer(
  tree: LayerTree,
  compression: LayerCompression,
  createdBy: string,
): Promise<BuiltLayer> {
  const { tar, diffId } = await tree.toTar();
  const bytes =
    compression === 'gzip'
      ? await promisify(gzip)(tar, { level: 6 })
      : await promisify(zstdCompress)(tar, { params: { [constants.ZSTD_c_compressionLevel]: 6 } });
  const blob = blobOf(bytes, `application/vnd.oci.image.layer.v1.tar+${compression}`);
  return { diffId, blob, createdBy };
}

/**
 * Writes an image as one tar that is both an OCI layout and a docker-archive, so that every loader
 * takes it.
 */
export async function writeImageArchive(
  file: string,
  reference: string,
  config: DemoImageConfig,
  layers: readonly BuiltLayer[],
): Promise<void> {
  const configBlob = jsonBlob('application/vnd.oci.image.config.v1+json', {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    created: fixedTime.toISOString(),
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ createdBy }) => ({
      created: fixedTime.toISOString(),
      created_by: createdBy,
    })),
  });
  const manifest = jsonBlob('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor(configBlob),
    layers: layers.map(({ blob }) => descriptor(blob)),
  });
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...descriptor(manifest),
        annotations: {
          'io.containerd.image.name': `docker.io/library/${reference}`,
          'org.opencontainers.image.ref.name': reference.split(':')[1],
        },
      },
    ],
  };
  const dockerManifest = [
    {
      Config: blobPath(configBlob),
      RepoTags: [reference],
      Layers: layers.map(({ blob }) => blobPath(blob)),
    },
  ];
  const writer = pack();
  const add = (name: string, bytes: Buffer | string): void => {
    writer.entry({ name, mtime: fixedTime, mode: 0o644 }, bytes);
  };
  add('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  add('index.json', JSON.stringify(index));
  add('manifest.json', JSON.stringify(dockerManifest));
  const blobs = new Map(
    [configBlob, manifest, ...layers.map(({ blob }) => blob)].map((blob) => [blob.digest, blob]),
  );
  for (const blob of blobs.values()) add(blobPath(blob), blob.bytes);
  writer.finalize();
  await pipeline(writer, createWriteStream(file));
}

function blobOf(bytes: Buffer, mediaType: string): Blob {
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes, mediaType };
}

function jsonBlob(mediaType: string, value: unknown): Blob {
  return blobOf(Buffer.from(JSON.stringify(value)), mediaType);
}

function descriptor(blob: Blob): object {
  return { mediaType: blob.mediaType, digest: blob.digest, size: blob.bytes.length };
}

function blobPath(blob: Blob): string {
  return `blobs/${blob.digest.replace(':', '/')}`;
}
