import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';

import { HyperError } from '../base/error.ts';
import { Mutex } from '../base/mutex.ts';
import { BlobStore } from './blob-store.ts';
import { chainIds } from './chain-id.ts';
import { type Digest, digestOf, hexOf } from './digest.ts';
import { parseImageConfig } from './image-config.ts';
import { ImageDatabase } from './image-database.ts';
import { ImageIndex } from './image-index.ts';
import { planRemoval } from './image-removal.ts';
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
import { importedConfig, parseChanges } from './import-config.ts';
import { LayerConverter } from './layer-converter.ts';
import { LoadedArchive } from './loaded-archive.ts';
import { hostPlatform } from './platform.ts';
import { throttled } from './progress.ts';
import { Puller } from './pull.ts';
import { familiarName, familiarReference, parseReference, withDefaultTag } from './reference.ts';
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
    if (entry.startsWith('load-')) await rm(path.join(directory, entry), { recursive: true });
  }
  const converter = await LayerConverter.open(path.join(directory, 'layers'), config.mkfsErofs);
  const blobs = await BlobStore.open(path.join(directory, 'blobs'));
  const database = new ImageDatabase(path.join(directory, 'images.db'));
  // A layer whose file is gone is fetched again by the next pull.
  const files = new Set(await converter.list());
  for (const diffId of database.layerSizes().keys()) {
    if (!files.has(diffId)) database.removeLayer(diffId);
  }
  return new FileImageStore(config, { converter, blobs, database });
}

class FileImageStore implements ImageStore {
  readonly #directory: string;
  readonly #converter: LayerConverter;
  readonly #blobs: BlobStore;
  readonly #database: ImageDatabase;
  readonly #index: ImageIndex;
  readonly #puller: Puller;
  /** Guards removal against the registration of images that share layers. */
  readonly #mutex = new Mutex();
  #additions = 0;
  readonly #running = new Set<Promise<unknown>>();
  #sweepIsDue = false;

  constructor(
    config: ImageStoreConfig,
    parts: {
      readonly converter: LayerConverter;
      readonly blobs: BlobStore;
      readonly database: ImageDatabase;
    },
  ) {
    this.#directory = config.directory;
    this.#converter = parts.converter;
    this.#blobs = parts.blobs;
    this.#database = parts.database;
    this.#index = new ImageIndex(this.#database);
    this.#puller = new Puller(config.registries ?? {}, {
      ...parts,
      hasLayer: (diffId) => this.#database.hasLayer(diffId),
      addLayer: (diffId, sizeBytes) => {
        this.#database.addLayer(diffId, sizeBytes);
      },
    });
  }

  pull(reference: string, options: PullOptions): Promise<ImageRecord> {
    return this.#whileAdding(async () => {
      const wanted = withDefaultTag(parseReference(reference));
      const name = familiarReference(wanted);
      const before = this.#idOf(name);
      const pulled = await this.#puller.pull(wanted, options);
      const id = digestOf(pulled.config);
      const tags = pulled.tagName === null ? [] : [pulled.tagName];
      this.#register(pulled.config, tags, [pulled.digestName]);
      options.onProgress({ status: `Digest: ${pulled.digest}` });
      const verb = before === id ? 'Image is up to date' : 'Downloaded newer image';
      options.onProgress({ status: `Status: ${verb} for ${name}` });
      return this.#index.get(id);
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
        if (diffIds.length === 0) {
          const text = 'image archive: an image has no layers: there is nothing to run';
          throw new HyperError('INVALID_ARGUMENT', text);
        }
        if (diffIds.length !== image.layerFiles.length) {
          const text = `image archive: the config names ${String(diffIds.length)} layers, the manifest ${String(image.layerFiles.length)}`;
          throw new HyperError('INVALID_ARGUMENT', text);
        }
        for (const [index, diffId] of diffIds.entries()) {
          await this.#addLayer(diffId, image.layerFiles[index] ?? '', options);
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
      const platform = options.platform ?? hostPlatform();
      const runConfig = parseChanges(options.changes ?? []);
      const layer = await this.#converter.convert(archive, null, { signal: options.signal });
      this.#database.addLayer(layer.diffId, layer.sizeBytes);
      const config = importedConfig(layer.diffId, {
        platform,
        runConfig,
        comment: options.message ?? 'Imported from -',
      });
      this.#register(config, reference, []);
      options.onProgress({ status: digestOf(config) });
      return this.#index.get(digestOf(config));
    });
  }

  list(): readonly ImageRecord[] {
    return this.#index.list();
  }

  get(nameOrId: string): ImageRecord {
    return this.#index.get(nameOrId);
  }

  async layers(imageId: string): Promise<readonly LayerFile[]> {
    const image = this.#index.get(imageId);
    const present = new Set(await this.#converter.list());
    const missing = image.diffIds.find((diffId) => !present.has(diffId));
    if (missing !== undefined) {
      const text = `image ${image.repoTags[0] ?? image.id}: the file of its layer ${missing} is missing`;
      throw new HyperError('INTERNAL', text, { hint: 'pull or load the image again' });
    }
    return image.diffIds.map((diffId) => ({ diffId, path: this.#converter.pathOf(diffId) }));
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
      const { untag, deletes } = planRemoval({ nameOrId, name }, image, options);
      this.#database.transaction(() => {
        for (const gone of untag) this.#database.removeName(gone);
        if (deletes) this.#database.removeImage(image.id);
      });
      const untagged = untag.map((Untagged) => ({ Untagged }));
      if (!deletes) return untagged;
      const { removed } = await this.#sweep();
      const chain = chainIds(image.diffIds).filter((_, index) =>
        removed.has(image.diffIds[index] ?? ''),
      );
      const layers = chain.toReversed().map((Deleted) => ({ Deleted }));
      return [...untagged, { Deleted: image.id }, ...layers];
    });
  }

  lease(imageId: string, owner: string): void {
    this.#database.addLease(owner, this.#index.get(imageId).diffIds);
  }

  releaseLease(owner: string): void {
    this.#database.removeLease(owner);
  }

  collectGarbage(): Promise<number> {
    return this.#mutex.run(async () => {
      const { freedBytes } = await this.#sweep();
      return freedBytes + (this.#additions > 0 ? 0 : await this.#blobs.clear());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#puller[Symbol.asyncDispose]();
    await Promise.allSettled(this.#running);
    this.#database[Symbol.dispose]();
  }

  async #addLayer(diffId: Digest, file: string, options: LoadOptions): Promise<void> {
    if (this.#database.hasLayer(diffId)) return;
    const total = (await stat(file)).size;
    const id = hexOf(diffId).slice(0, 12);
    const layer = await this.#converter.convert(createReadStream(file), diffId, {
      signal: options.signal,
      onProgress: throttled((current) => {
        options.onProgress({ status: 'Loading layer', id, progressDetail: { current, total } });
      }),
    });
    this.#database.addLayer(layer.diffId, layer.sizeBytes);
  }

  #register(config: Uint8Array, names: readonly string[], digestNames: readonly string[]): void {
    const id = digestOf(config);
    this.#database.transaction(() => {
      this.#database.addImage(id, config);
      for (const name of names) this.#database.setName(name, id, false);
      for (const name of digestNames) this.#database.setName(name, id, true);
    });
  }

  #idOf(name: string): string | null {
    return this.#database.names().find((entry) => entry.name === name)?.image ?? null;
  }

  /** Layers of an image that is being added belong to nobody yet: nothing is swept meanwhile. */
  async #whileAdding<T>(action: () => Promise<T>): Promise<T> {
    await this.#mutex.run(() => {
      this.#additions += 1;
      return Promise.resolve();
    });
    const work = action();
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
      this.#additions -= 1;
      if (this.#sweepIsDue && this.#additions === 0) await this.#mutex.run(() => this.#sweep());
    }
  }

  /** Removes the layers of no image and no lease. */
  async #sweep(): Promise<Swept> {
    this.#sweepIsDue = this.#additions > 0;
    const removed = new Set<Digest>();
    let freedBytes = 0;
    if (this.#sweepIsDue) return { removed, freedBytes };
    const used = new Set(this.#index.list().flatMap(({ diffIds }) => diffIds));
    for (const diffId of this.#database.leasedLayers()) used.add(diffId);
    for (const diffId of await this.#converter.list()) {
      if (used.has(diffId)) continue;
      this.#database.removeLayer(diffId);
      freedBytes += await this.#converter.remove(diffId);
      removed.add(diffId);
    }
    return { removed, freedBytes };
  }
}

interface Swept {
  readonly removed: ReadonlySet<Digest>;
  readonly freedBytes: number;
}

function tagName(reference: string): string {
  const parsed = withDefaultTag(parseReference(reference));
  if (parsed.digest !== null) {
    throw new HyperError('INVALID_ARGUMENT', 'refusing to create a tag with a digest reference');
  }
  if (familiarName(parsed) === 'sha256') {
    const text = 'refusing to create an ambiguous tag using digest algorithm as name';
    throw new HyperError('INVALID_ARGUMENT', text);
  }
  return familiarReference(parsed);
}
