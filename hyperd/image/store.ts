import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { HyperError } from '../base/error.ts';
import { Mutex } from '../base/mutex.ts';
import { BlobStore } from './blob-store.ts';
import { type Digest, digestOf } from './digest.ts';
import { parseImageConfig } from './image-config.ts';
import { ImageDatabase } from './image-database.ts';
import { ImageIndex, repositoryOf } from './image-index.ts';
import type {
  HistoryEntry,
  ImageRecord,
  ImageStore,
  ImportOptions,
  LayerFile,
  LoadedImage,
  LoadOptions,
  PullOptions,
  RemovedItem,
  RemoveOptions,
} from './image-store.ts';
import { importedConfig } from './import-config.ts';
import { LayerConverter } from './layer-converter.ts';
import { LoadedArchive } from './loaded-archive.ts';
import { hostPlatform } from './manifest.ts';
import { Puller } from './pull.ts';
import { familiarReference, parseReference, withDefaultTag } from './reference.ts';
import type { RegistryConfig } from './registry-config.ts';

export interface ImageStoreConfig {
  /** Everything about images lives below it. */
  readonly directory: string;
  /** A mkfs.erofs of erofs-utils 1.7 or newer. */
  readonly mkfsErofs: string;
  readonly registries?: RegistryConfig;
}

/** Opens the image store, removing what a killed daemon left half-made. */
export async function openImageStore(config: ImageStoreConfig): Promise<ImageStore> {
  const { directory } = config;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const entry of await readdir(directory)) {
    if (/^(load|import)-/.test(entry)) await rm(path.join(directory, entry), { recursive: true });
  }
  const converter = await LayerConverter.open(path.join(directory, 'layers'), config.mkfsErofs);
  const blobs = await BlobStore.open(path.join(directory, 'blobs'));
  return new FileImageStore(config, converter, blobs);
}

class FileImageStore implements ImageStore {
  readonly #directory: string;
  readonly #converter: LayerConverter;
  readonly #database: ImageDatabase;
  readonly #index: ImageIndex;
  readonly #puller: Puller;
  /** Guards removal against the registration of images that share layers. */
  readonly #mutex = new Mutex();
  #additions = 0;

  constructor(config: ImageStoreConfig, converter: LayerConverter, blobs: BlobStore) {
    this.#directory = config.directory;
    this.#converter = converter;
    this.#database = new ImageDatabase(path.join(config.directory, 'images.db'));
    this.#index = new ImageIndex(this.#database);
    this.#puller = new Puller(config.registries ?? {}, {
      blobs,
      converter,
      hasLayer: (diffId) => this.#database.layerSizes().has(diffId),
      addLayer: (diffId, sizeBytes) => {
        this.#database.addLayer(diffId, sizeBytes);
      },
    });
  }

  pull(reference: string, options: PullOptions): Promise<ImageRecord> {
    return this.#whileAdding(async () => {
      const wanted = withDefaultTag(parseReference(reference));
      const before = this.#idOf(familiarReference(wanted));
      const pulled = await this.#puller.pull(wanted, options);
      this.#register(pulled.config, [pulled.name], [pulled.digestName]);
      options.onProgress({ status: `Digest: ${pulled.digest}` });
      const isNew = before !== digestOf(pulled.config);
      const verb = isNew ? 'Downloaded newer image' : 'Image is up to date';
      options.onProgress({ status: `Status: ${verb} for ${familiarReference(wanted)}` });
      return this.#index.get(digestOf(pulled.config));
    });
  }

  async pullAllTags(repository: string, options: PullOptions): Promise<readonly ImageRecord[]> {
    const name = parseReference(repository);
    const images: ImageRecord[] = [];
    for (const tag of await this.#puller.listTags(name, options)) {
      images.push(await this.pull(familiarReference({ ...name, tag }), options));
    }
    return images;
  }

  load(archive: Readable, options: LoadOptions): Promise<readonly LoadedImage[]> {
    return this.#whileAdding(async () => {
      await using loaded = await LoadedArchive.spool(archive, this.#directory, options.signal);
      const results: LoadedImage[] = [];
      for (const image of await loaded.images()) {
        const { id, diffIds } = parseImageConfig(image.config);
        if (diffIds.length === 0 || diffIds.length !== image.layerFiles.length) {
          const text = `image archive: the config names ${String(diffIds.length)} layers, the manifest ${String(image.layerFiles.length)}`;
          throw new HyperError('INVALID_ARGUMENT', text);
        }
        for (const [index, diffId] of diffIds.entries()) {
          await this.#addLayer(diffId, image.layerFiles[index] ?? '', options.signal);
        }
        this.#register(image.config, image.references, []);
        const shown = image.references.map((name) => `Loaded image: ${name}\n`);
        const lines = shown.length === 0 ? [`Loaded image ID: ${id}\n`] : shown;
        for (const stream of lines) options.onProgress({ stream });
        results.push({ id, references: image.references });
      }
      return results;
    });
  }

  importRootfs(archive: Readable, options: ImportOptions): Promise<ImageRecord> {
    return this.#whileAdding(async () => {
      const reference = options.reference === undefined ? [] : [tagName(options.reference)];
      const scratch = await mkdtemp(path.join(this.#directory, 'import-'));
      try {
        const file = path.join(scratch, 'layer');
        await pipeline(archive, createWriteStream(file, { mode: 0o600 }), {
          signal: options.signal,
        });
        const layer = await this.#converter.convert(file, null, { signal: options.signal });
        this.#database.addLayer(layer.diffId, layer.sizeBytes);
        const platform = options.platform ?? hostPlatform();
        const config = importedConfig(layer.diffId, platform, options);
        this.#register(config, reference, []);
        options.onProgress({ status: digestOf(config) });
        return this.#index.get(digestOf(config));
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    });
  }

  list(): readonly ImageRecord[] {
    return this.#index.list();
  }

  get(nameOrId: string): ImageRecord {
    return this.#index.get(nameOrId);
  }

  layers(imageId: string): Promise<readonly LayerFile[]> {
    const { diffIds } = this.#index.get(imageId);
    return Promise.resolve(
      diffIds.map((diffId) => ({ diffId, path: this.#converter.pathOf(diffId) })),
    );
  }

  history(nameOrId: string): readonly HistoryEntry[] {
    return this.#index.history(nameOrId);
  }

  tag(nameOrId: string, newReference: string): void {
    const image = this.#index.get(nameOrId);
    this.#database.setName(tagName(newReference), image.id, false);
  }

  remove(nameOrId: string, options: RemoveOptions): Promise<readonly RemovedItem[]> {
    return this.#mutex.run(async () => {
      const image = this.#index.get(nameOrId);
      const name = this.#index.nameOf(nameOrId, image);
      const tags = image.repoTags;
      if (name !== null && tags.filter((tag) => tag !== name).length > 0) {
        this.#database.removeName(name);
        return [{ Untagged: name }];
      }
      refuseWhileInUse(nameOrId, image, name, options);
      this.#database.removeImage(image.id);
      const names = [...image.repoTags, ...image.repoDigests];
      await this.#sweep();
      return [...names.map((Untagged) => ({ Untagged })), { Deleted: image.id }];
    });
  }

  lease(imageId: string, owner: string): void {
    this.#database.addLease(owner, this.#index.get(imageId).diffIds);
  }

  releaseLease(owner: string): void {
    this.#database.removeLease(owner);
  }

  collectGarbage(): Promise<number> {
    return this.#mutex.run(() => this.#sweep());
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#database[Symbol.dispose]();
    return this.#puller[Symbol.asyncDispose]();
  }

  async #addLayer(diffId: Digest, file: string, signal: AbortSignal): Promise<void> {
    if (this.#database.layerSizes().has(diffId)) return;
    const layer = await this.#converter.convert(file, diffId, { signal });
    this.#database.addLayer(layer.diffId, layer.sizeBytes);
  }

  #register(config: Uint8Array, names: readonly string[], digestNames: readonly string[]): void {
    const id = digestOf(config);
    this.#database.addImage(id, config);
    for (const name of names) this.#database.setName(name, id, false);
    for (const name of digestNames) this.#database.setName(name, id, true);
  }

  #idOf(name: string): string | null {
    return this.#database.names().find((entry) => entry.name === name)?.image ?? null;
  }

  async #whileAdding<T>(action: () => Promise<T>): Promise<T> {
    this.#additions += 1;
    try {
      return await action();
    } finally {
      this.#additions -= 1;
    }
  }

  /** Layers of no image and no lease. While something is being added its layers have no image yet. */
  async #sweep(): Promise<number> {
    if (this.#additions > 0) return 0;
    const used = new Set(this.#index.list().flatMap(({ diffIds }) => diffIds));
    for (const diffId of this.#database.leasedLayers()) used.add(diffId);
    let freedBytes = 0;
    for (const diffId of await this.#converter.list()) {
      if (used.has(diffId)) continue;
      this.#database.removeLayer(diffId);
      freedBytes += await this.#converter.remove(diffId);
    }
    return freedBytes;
  }
}

function tagName(reference: string): string {
  const parsed = withDefaultTag(parseReference(reference));
  if (parsed.digest !== null) {
    throw new HyperError('INVALID_ARGUMENT', 'refusing to create a tag with a digest reference');
  }
  return familiarReference(parsed);
}

function refuseWhileInUse(
  nameOrId: string,
  image: ImageRecord,
  name: string | null,
  options: RemoveOptions,
): void {
  const users = options.usedBy(image.id);
  const running = users.find((user) => user.running);
  const shortImage = image.id.slice('sha256:'.length, 'sha256:'.length + 12);
  if (name === null) {
    const repositories = new Set(image.repoTags.map(repositoryOf));
    if (repositories.size > 1 && !options.force) {
      const text = `conflict: unable to delete ${shortImage} (must be forced) - image is referenced in multiple repositories`;
      throw new HyperError('CONFLICT', text);
    }
    if (running !== undefined) {
      const text = `conflict: unable to delete ${shortImage} (cannot be forced) - image is being used by running container ${running.containerId.slice(0, 12)}`;
      throw new HyperError('CONFLICT', text);
    }
  }
  const user = users[0];
  if (user === undefined || options.force) return;
  const container = user.containerId.slice(0, 12);
  const text =
    name === null
      ? `conflict: unable to delete ${shortImage} (must be forced) - image is being used by stopped container ${container}`
      : `conflict: unable to remove repository reference "${nameOrId}" (must force) - container ${container} is using its referenced image ${shortImage}`;
  throw new HyperError('CONFLICT', text);
}
