import { setTimeout as delay } from 'node:timers/promises';

import { HyperError, isHyperError } from '../base/error.ts';
import type { BlobStore } from './blob-store.ts';
import { hexOf } from './digest.ts';
import { parseImageConfig } from './image-config.ts';
import type { ProgressMessage, PullOptions } from './image-store.ts';
import type { LayerConverter } from './layer-converter.ts';
import {
  chooseManifest,
  type Descriptor,
  isIndex,
  type Manifest,
  parseManifest,
} from './manifest.ts';
import { familiarName, familiarReference, type Reference } from './reference.ts';
import { RegistryClient } from './registry-client.ts';
import type { RegistryConfig } from './registry-config.ts';

export interface PulledImage {
  readonly config: Buffer;
  /** Name to tag, `busybox:latest`; of a pull by digest the digest name. */
  readonly name: string;
  readonly digestName: string;
  readonly digest: string;
}

export interface LayerStorage {
  readonly blobs: BlobStore;
  readonly converter: LayerConverter;
  readonly hasLayer: (diffId: string) => boolean;
  readonly addLayer: (diffId: string, sizeBytes: number) => void;
}

const parallelLayers = 3;
const downloadAttempts = 5;
const progressIntervalMs = 100;

/** Pulls images; a layer that several pulls want is fetched once. */
export class Puller implements AsyncDisposable {
  readonly #config: RegistryConfig;
  readonly #storage: LayerStorage;
  readonly #inFlight = new Map<string, Promise<void>>();
  readonly #slots = new Semaphore(parallelLayers);
  readonly #closing = new AbortController();

  constructor(config: RegistryConfig, storage: LayerStorage) {
    this.#config = config;
    this.#storage = storage;
  }

  async pull(reference: Reference, options: PullOptions): Promise<PulledImage> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    await using client = await RegistryClient.open(this.#config, reference, {
      auth: options.auth,
      signal,
    });
    const tagOrDigest = reference.digest ?? reference.tag ?? 'latest';
    const { onProgress } = options;
    onProgress({ status: `Pulling from ${repositoryPath(reference)}`, id: tagOrDigest });
    const { bytes, digest } = await this.#manifest(client, reference, tagOrDigest);
    const manifestBytes = isIndex(bytes)
      ? (
          await client.manifest(
            chooseManifest(bytes, options.platform ?? null, familiarReference(reference)).digest,
          )
        ).bytes
      : bytes;
    const manifest = parseManifest(manifestBytes);
    const config = await client.smallBlob(manifest.config);
    await this.#pullLayers(client, { manifest, config, ...options, signal });
    const digestName = `${familiarName(reference)}@${digest}`;
    const name = reference.digest === null ? familiarReference(reference) : digestName;
    return { config, name, digestName, digest };
  }

  async listTags(reference: Reference, options: PullOptions): Promise<readonly string[]> {
    const { auth, signal } = options;
    await using client = await RegistryClient.open(this.#config, reference, { auth, signal });
    return await client.tags();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new HyperError('UNAVAILABLE', 'hyperd is shutting down'));
    return Promise.allSettled(this.#inFlight.values()).then(() => undefined);
  }

  async #manifest(client: RegistryClient, reference: Reference, tagOrDigest: string) {
    try {
      return await client.manifest(tagOrDigest);
    } catch (cause) {
      if (!isHyperError(cause, 'NOT_FOUND')) throw cause;
      const text = `manifest for ${familiarReference(reference)} not found: manifest unknown: ${cause.message}`;
      throw new HyperError('NOT_FOUND', text, { cause });
    }
  }

  async #pullLayers(
    client: RegistryClient,
    job: {
      readonly manifest: Manifest;
      readonly config: Buffer;
      readonly signal: AbortSignal;
      readonly onProgress: (message: ProgressMessage) => void;
    },
  ): Promise<void> {
    const { diffIds } = parseImageConfig(job.config);
    const { layers } = job.manifest;
    if (layers.length === 0 || layers.length !== diffIds.length) {
      const text = `the manifest has ${String(layers.length)} layers, the image config ${String(diffIds.length)}`;
      throw new HyperError('INVALID_ARGUMENT', text);
    }
    // One failure stops the others; what they downloaded stays for the next attempt.
    const abort = new AbortController();
    const signal = AbortSignal.any([job.signal, abort.signal]);
    const work = layers.map(async (blob, index) => {
      const id = hexOf(blob.digest).slice(0, 12);
      const report = (message: ProgressMessage): void => {
        job.onProgress({ ...message, id });
      };
      try {
        await this.#layer(client, { blob, diffId: diffIds[index] ?? '', report, signal });
      } catch (thrown) {
        abort.abort(thrown);
        throw thrown;
      }
    });
    const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw (abort.signal.reason ?? failed.reason) as Error;
  }

  async #layer(client: RegistryClient, layer: LayerJob): Promise<void> {
    if (this.#storage.hasLayer(layer.diffId)) {
      layer.report({ status: 'Already exists', progressDetail: {} });
      return;
    }
    layer.report({ status: 'Pulling fs layer', progressDetail: {} });
    for (;;) {
      const running = this.#inFlight.get(layer.diffId);
      if (running === undefined) break;
      layer.report({ status: 'Waiting', progressDetail: {} });
      // When the other pull gives up, this one takes over.
      await running.catch(() => undefined);
      layer.signal.throwIfAborted();
      if (this.#storage.hasLayer(layer.diffId)) {
        layer.report({ status: 'Pull complete', progressDetail: {} });
        return;
      }
    }
    const work = this.#fetchAndConvert(client, layer);
    this.#inFlight.set(layer.diffId, work);
    try {
      await work;
    } finally {
      this.#inFlight.delete(layer.diffId);
    }
  }

  async #fetchAndConvert(client: RegistryClient, layer: LayerJob): Promise<void> {
    const { blob, diffId, report, signal } = layer;
    using _ = await this.#slots.acquire();
    signal.throwIfAborted();
    const file = await this.#download(client, layer);
    report({ status: 'Download complete', progressDetail: {} });
    const showProgress = throttled((current) => {
      report({ status: 'Extracting', progressDetail: { current, total: blob.sizeBytes } });
    });
    const converted = await this.#storage.converter.convert(file, diffId, {
      signal,
      onProgress: showProgress,
    });
    this.#storage.addLayer(diffId, converted.sizeBytes);
    await this.#storage.blobs.remove(blob);
    report({ status: 'Pull complete', progressDetail: {} });
  }

  async #download(client: RegistryClient, { blob, report, signal }: LayerJob): Promise<string> {
    const showProgress = throttled((current) => {
      report({ status: 'Downloading', progressDetail: { current, total: blob.sizeBytes } });
    });
    for (let attempt = 1; ; attempt++) {
      try {
        const fetch = (offset: number) => client.blob(blob, offset);
        return await this.#storage.blobs.download(blob, fetch, {
          signal,
          onProgress: showProgress,
        });
      } catch (thrown) {
        signal.throwIfAborted();
        const isFinal = thrown instanceof HyperError && thrown.code !== 'UNAVAILABLE';
        if (isFinal || attempt === downloadAttempts) throw thrown;
        report({
          status: `Retrying in ${String(attempt)} second${attempt === 1 ? '' : 's'}`,
          progressDetail: {},
        });
        await delay(attempt * 1000, undefined, { signal });
      }
    }
  }
}

interface LayerJob {
  readonly blob: Descriptor;
  readonly diffId: string;
  readonly report: (message: ProgressMessage) => void;
  readonly signal: AbortSignal;
}

/** Lets a fixed number of holders in; the others wait in line. */
class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async acquire(): Promise<Disposable> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    return {
      [Symbol.dispose]: () => {
        const next = this.#waiting.shift();
        if (next === undefined) this.#free += 1;
        else next();
      },
    };
  }
}

function throttled(report: (current: number) => void): (current: number) => void {
  let last = 0;
  return (current) => {
    const now = Date.now();
    if (now - last < progressIntervalMs) return;
    last = now;
    report(current);
  };
}

function repositoryPath(reference: Reference): string {
  return reference.domain === 'docker.io' ? reference.path : familiarName(reference);
}
