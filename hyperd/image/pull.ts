import { HyperError, isHyperError } from '../base/error.ts';
import { parseImageConfig } from './image-config.ts';
import type { Platform, PullOptions } from './image-store.ts';
import { chooseManifest, isIndex, type Manifest, parseManifest } from './manifest.ts';
import { platformFits, platformName } from './platform.ts';
import { LayerPuller, type LayerStorage } from './pull-layers.ts';
import { familiarName, familiarReference, type Reference } from './reference.ts';
import { RegistryClient } from './registry-client.ts';
import type { RegistryConfig } from './registry-config.ts';

export interface PulledImage {
  readonly config: Buffer;
  /** Name to tag, `busybox:latest`; null for a pull by digest. */
  readonly tagName: string | null;
  readonly digestName: string;
  readonly digest: string;
}

/** Pulls images. Dispose stops the pulls and waits for them. */
export class Puller implements AsyncDisposable {
  readonly #config: RegistryConfig;
  readonly #layers: LayerPuller;
  readonly #closing = new AbortController();

  constructor(config: RegistryConfig, storage: LayerStorage) {
    this.#config = config;
    this.#layers = new LayerPuller(storage);
  }

  async pull(reference: Reference, options: PullOptions): Promise<PulledImage> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    await using client = await RegistryClient.open(this.#config, reference, {
      auth: options.auth,
      signal,
    });
    const tagOrDigest = reference.digest ?? reference.tag ?? 'latest';
    const { bytes, digest } = await fetchManifest(client, reference, tagOrDigest);
    // Only now: until the first message a failure still has an HTTP status of its own.
    options.onProgress({ status: `Pulling from ${reference.path}`, id: tagOrDigest });
    const { manifest, config } = await fetchImage(client, bytes, {
      platform: options.platform ?? null,
      name: familiarReference(reference),
    });
    const layers = matchLayers(manifest, config);
    await this.#layers.pull(client, layers, { signal, onProgress: options.onProgress });
    return {
      config,
      tagName: reference.digest === null ? familiarReference(reference) : null,
      digestName: `${familiarName(reference)}@${digest}`,
      digest,
    };
  }

  async listTags(reference: Reference, options: PullOptions): Promise<readonly string[]> {
    const { auth, signal } = options;
    await using client = await RegistryClient.open(this.#config, reference, { auth, signal });
    return await client.tags();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new HyperError('UNAVAILABLE', 'hyperd is shutting down'));
    return this.#layers.settled();
  }
}

async function fetchManifest(client: RegistryClient, reference: Reference, tagOrDigest: string) {
  try {
    return await client.manifest(tagOrDigest);
  } catch (cause) {
    if (!isHyperError(cause, 'NOT_FOUND') || cause.message.startsWith('pull access denied')) {
      throw cause;
    }
    const why = cause.message === 'not found' ? 'manifest unknown' : cause.message;
    const text = `manifest for ${familiarReference(reference)} not found: ${why}`;
    throw new HyperError('NOT_FOUND', text, { cause });
  }
}

/** Of an index the manifest for the platform; its config with it. */
async function fetchImage(
  client: RegistryClient,
  bytes: Buffer,
  wanted: { readonly platform: Platform | null; readonly name: string },
): Promise<{ readonly manifest: Manifest; readonly config: Buffer }> {
  const { platform, name } = wanted;
  const manifestBytes = isIndex(bytes)
    ? (await client.manifest(chooseManifest(bytes, platform, name).digest)).bytes
    : bytes;
  const manifest = parseManifest(manifestBytes);
  const config = await client.smallBlob(manifest.config);
  const actual = parseImageConfig(config).platform;
  if (platform !== null && !platformFits(actual, platform)) {
    const text = `image with reference ${name} was found but does not match the specified platform: wanted ${platformName(platform)}, actual: ${platformName(actual)}`;
    throw new HyperError('NOT_FOUND', text);
  }
  return { manifest, config };
}

function matchLayers(manifest: Manifest, config: Buffer) {
  const { diffIds } = parseImageConfig(config);
  const { layers } = manifest;
  if (layers.length === 0) {
    throw new HyperError('INVALID_ARGUMENT', 'the image has no layers: there is nothing to run');
  }
  if (layers.length !== diffIds.length) {
    const text = `layers from manifest don't match image configuration: ${String(layers.length)} layers, ${String(diffIds.length)} diff_ids`;
    throw new HyperError('INVALID_ARGUMENT', text);
  }
  return layers.map((blob, index) => ({ blob, diffId: diffIds[index] ?? '' }));
}
