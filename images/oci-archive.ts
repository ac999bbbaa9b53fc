import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { pack } from 'tar-stream';

import { HyperError } from '../hyperd/base/error.ts';
import { type Blob, blobOf, type BuiltLayer, digestOf, unpackBlob } from './layer-blob.ts';
import { addLayer, fixedTime, readTarFiles } from './layer-tar.ts';
import { LayerTree } from './layer-tree.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const configType = 'application/vnd.oci.image.config.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';

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
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface IndexFile {
  readonly manifests: readonly Descriptor[];
}

interface ManifestFile {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

interface ImageConfigFile {
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly history: readonly { readonly created_by: string }[];
}

/** An image as the base of another one: its layers, and their files. */
export interface BaseImage {
  readonly layers: readonly BuiltLayer[];
  readonly tree: LayerTree;
}

/**
 * Writes an image as one tar that is both an OCI layout and a docker-archive, so that every loader
 * takes it. `reference` is a name with its tag, such as `busybox:latest`.
 */
export async function writeImageArchive(
  file: string,
  reference: string,
  config: DemoImageConfig,
  layers: readonly BuiltLayer[],
): Promise<void> {
  const configBlob = jsonBlob(configType, configFile(config, layers));
  const manifest = jsonBlob(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor(configBlob),
    layers: layers.map(({ blob }) => descriptor(blob)),
  });
  const dockerManifest = {
    Config: blobPath(configBlob.digest),
    RepoTags: [reference],
    Layers: layers.map(({ blob }) => blobPath(blob.digest)),
  };
  const writer = pack();
  const add = (name: string, content: Buffer | string): void => {
    writer.entry({ name, mtime: fixedTime, mode: 0o644 }, content);
  };
  add('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  add('index.json', JSON.stringify(indexFile(reference, manifest)));
  add('manifest.json', JSON.stringify([dockerManifest]));
  const blobs = [manifest, configBlob, ...layers.map(({ blob }) => blob)];
  for (const [digest, { bytes }] of new Map(blobs.map((blob) => [blob.digest, blob]))) {
    add(blobPath(digest), bytes);
  }
  writer.finalize();
  await pipeline(writer, createWriteStream(file));
}

/** Reads an archive that `writeImageArchive` wrote. */
export async function readBaseImage(file: string): Promise<BaseImage> {
  const files = await readTarFiles(createReadStream(file));
  const blob = (digest: string): Buffer => {
    const bytes = files.get(blobPath(digest));
    if (bytes === undefined || digestOf(bytes) !== digest) {
      throw new HyperError('INTERNAL', `${file}: blob ${digest} is missing or damaged`, {
        hint: `delete ${file}; it is made anew at the next build`,
      });
    }
    return bytes;
  };
  const index = parse(files.get('index.json')) as IndexFile;
  const manifest = parse(blob(index.manifests[0]?.digest ?? '')) as ManifestFile;
  const config = parse(blob(manifest.config.digest)) as ImageConfigFile;
  let tree = new LayerTree();
  const layers: BuiltLayer[] = [];
  for (const [position, { digest, mediaType }] of manifest.layers.entries()) {
    const bytes = blob(digest);
    tree = new LayerTree(tree);
    await addLayer(tree, unpackBlob(Readable.from([bytes]), mediaType));
    layers.push({
      diffId: config.rootfs.diff_ids[position] ?? '',
      blob: { digest, bytes, mediaType },
      createdBy: config.history[position]?.created_by ?? '',
    });
  }
  return { layers, tree };
}

function configFile(config: DemoImageConfig, layers: readonly BuiltLayer[]): object {
  const created = fixedTime.toISOString();
  return {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    created,
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ createdBy }) => ({ created, created_by: createdBy })),
  };
}

/** Annotated as Docker and containerd do when they save an image. */
function indexFile(reference: string, manifest: Blob): object {
  const annotations = {
    'io.containerd.image.name': `docker.io/library/${reference}`,
    'org.opencontainers.image.ref.name': reference.slice(reference.indexOf(':') + 1),
  };
  const manifests = [{ ...descriptor(manifest), annotations }];
  return { schemaVersion: 2, mediaType: indexType, manifests };
}

function parse(bytes: Buffer | undefined): unknown {
  return JSON.parse(bytes?.toString('utf8') ?? '');
}

function jsonBlob(mediaType: string, value: object): Blob {
  return blobOf(Buffer.from(JSON.stringify(value)), mediaType);
}

function descriptor({ mediaType, digest, bytes }: Blob): Descriptor {
  return { mediaType, digest, size: bytes.length };
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
