import { setTimeout as delay } from 'node:timers/promises';

import { HyperError } from '../base/error.ts';
import { type BlobStore, DigestError } from './blob-store.ts';
import { hexOf } from './digest.ts';
import type { ProgressMessage } from './image-store.ts';
import type { ConvertedLayer, LayerConverter } from './layer-converter.ts';
import type { Descriptor } from './manifest.ts';
import { throttled } from './progress.ts';
import type { RegistryClient } from './registry-client.ts';
import { PassingError } from './registry-error.ts';
import { Semaphore } from './semaphore.ts';

export interface LayerStorage {
  readonly blobs: BlobStore;
  readonly converter: LayerConverter;
  readonly hasLayer: (diffId: string) => boolean;
  readonly addLayer: (diffId: string, sizeBytes: number) => void;
}

/** One layer that a pull wants. */
export interface WantedLayer {
  readonly blob: Descriptor;
  readonly diffId: string;
}

type Report = (message: ProgressMessage) => void;

interface LayerJob extends WantedLayer {
  readonly report: Report;
  readonly signal: AbortSignal;
}

const parallelLayers = 3;
const fruitlessAttempts = 5;

/** Fetches layers into EROFS files, three at a time; one that several pulls want is fetched once. */
export class LayerPuller {
  readonly #storage: LayerStorage;
  readonly #inFlight = new Map<
    string,
    { readonly done: Promise<void>; readonly watchers: Set<Report> }
  >();
  readonly #slots = new Semaphore(parallelLayers);

  constructor(storage: LayerStorage) {
    this.#storage = storage;
  }

  /** Resolves when all layers are there. One failure stops the others; what arrived of them stays. */
  async pull(
    client: RegistryClient,
    layers: readonly WantedLayer[],
    options: { readonly signal: AbortSignal; readonly onProgress: Report },
  ): Promise<void> {
    const abort = new AbortController();
    const signal = AbortSignal.any([options.signal, abort.signal]);
    const work = layers.map(async (layer) => {
      const id = hexOf(layer.blob.digest).slice(0, 12);
      const report: Report = (message) => {
        options.onProgress({ progressDetail: {}, ...message, id });
      };
      try {
        await this.#layer(client, { ...layer, report, signal });
      } catch (thrown) {
        abort.abort(thrown);
        throw thrown;
      }
    });
    const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw (abort.signal.reason ?? failed.reason) as Error;
  }

  /** Resolves when nothing is in flight any more. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#inFlight.values()].map(({ done }) => done));
  }

  async #layer(client: RegistryClient, layer: LayerJob): Promise<void> {
    if (this.#storage.hasLayer(layer.diffId)) {
      layer.report({ status: 'Already exists' });
      return;
    }
    layer.report({ status: 'Pulling fs layer' });
    // All layers are announced before the first of them moves.
    await Promise.resolve();
    for (;;) {
      const running = this.#inFlight.get(layer.diffId);
      if (running === undefined) break;
      running.watchers.add(layer.report);
      // When the other pull gives up, this one takes over.
      await untilSettled(running.done, layer.signal);
      running.watchers.delete(layer.report);
      if (this.#storage.hasLayer(layer.diffId)) return;
    }
    const watchers = new Set([layer.report]);
    const report: Report = (message) => {
      for (const watcher of watchers) watcher(message);
    };
    const done = this.#inSlot(client, { ...layer, report });
    this.#inFlight.set(layer.diffId, { done, watchers });
    try {
      await done;
    } finally {
      this.#inFlight.delete(layer.diffId);
    }
  }

  async #inSlot(client: RegistryClient, layer: LayerJob): Promise<void> {
    const { blob, diffId, report, signal } = layer;
    if (this.#slots.isFull) report({ status: 'Waiting' });
    using _ = await this.#slots.acquire();
    signal.throwIfAborted();
    const converted = await this.#fetchAndConvert(client, layer).catch((thrown: unknown) => {
      if (!(thrown instanceof DigestError) || !thrown.wasResumed) throw thrown;
      // What an earlier download left was bad (a power failure does that): once more, from the start.
      return this.#fetchAndConvert(client, layer);
    });
    this.#storage.addLayer(diffId, converted.sizeBytes);
    await this.#storage.blobs.remove(blob);
    report({ status: 'Pull complete' });
  }

  /** The layer is converted while it arrives. */
  #fetchAndConvert(client: RegistryClient, layer: LayerJob): Promise<ConvertedLayer> {
    const { blob, diffId, report, signal } = layer;
    const total = blob.sizeBytes;
    let isDownloading = true;
    const downloading = throttled((current) => {
      report({ status: 'Downloading', progressDetail: { current, total } });
    });
    const extracting = throttled((current) => {
      if (!isDownloading) report({ status: 'Extracting', progressDetail: { current, total } });
    });
    return this.#storage.blobs.stream(
      blob,
      {
        fetch: (offset, fetchSignal) => client.blob(blob, offset, fetchSignal),
        signal,
        onProgress: downloading,
        onFault: retries(layer),
        onVerified: () => {
          isDownloading = false;
          report({ status: 'Verifying Checksum' });
          report({ status: 'Download complete' });
          report({ status: 'Extracting', progressDetail: { current: total, total } });
        },
      },
      (content) =>
        this.#storage.converter.convert(content, diffId, { signal, onProgress: extracting }),
    );
  }
}

/** Gives up at once when it is no use, else after five attempts in a row that brought nothing. */
function retries({
  report,
  signal,
}: LayerJob): (fault: unknown, hasProgressed: boolean) => Promise<void> {
  let fruitless = 0;
  return async (fault, hasProgressed) => {
    const isFinal = fault instanceof HyperError && fault.code !== 'UNAVAILABLE';
    fruitless = hasProgressed ? 1 : fruitless + 1;
    if (isFinal || fruitless === fruitlessAttempts) throw asUnavailable(fault);
    const plural = fruitless === 1 ? '' : 's';
    report({ status: `Retrying in ${String(fruitless)} second${plural}` });
    await delay(fruitless * 1000, undefined, { signal });
  };
}

function asUnavailable(fault: unknown): unknown {
  if (fault instanceof HyperError) return fault;
  const reason = fault instanceof Error ? fault.message : String(fault);
  return new PassingError(`the connection to the registry broke: ${reason}`, { cause: fault });
}

async function untilSettled(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal.reason as Error);
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([work.catch(() => undefined), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
