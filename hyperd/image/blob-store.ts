import { createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { HyperError } from '../base/error.ts';
import { DigestMeter, hexOf } from './digest.ts';
import type { Descriptor } from './manifest.ts';

export interface FetchedBlob {
  readonly body: Readable;
  /** Where in the blob the body starts: 0 when the server ignored the range. */
  readonly offset: number;
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number) => void;
}

/**
 * Downloaded blobs, content-addressed: `<hex>` is complete and verified, `<hex>.part` is the verified
 * beginning of one that the next attempt goes on with.
 */
export class BlobStore {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<BlobStore> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new BlobStore(directory);
  }

  /** Path of the verified blob, downloaded by `fetch` from where an earlier attempt ended. */
  async download(
    blob: Descriptor,
    fetch: (offset: number) => Promise<FetchedBlob>,
    options: DownloadOptions,
  ): Promise<string> {
    const file = path.join(this.#directory, hexOf(blob.digest));
    if ((await sizeOf(file)) === blob.sizeBytes) return file;
    const part = `${file}.part`;
    const have = Math.min((await sizeOf(part)) ?? 0, blob.sizeBytes);
    if (have < blob.sizeBytes) {
      const { body, offset } = await fetch(have);
      await append(body, { part, offset, limit: blob.sizeBytes }, options);
    }
    await verify(part, blob);
    await rename(part, file);
    return file;
  }

  async remove(blob: Descriptor): Promise<void> {
    await rm(path.join(this.#directory, hexOf(blob.digest)), { force: true });
  }
}

async function append(
  body: Readable,
  target: { readonly part: string; readonly offset: number; readonly limit: number },
  options: DownloadOptions,
): Promise<void> {
  let received = target.offset;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > target.limit) {
        throw new HyperError('INVALID_ARGUMENT', 'the registry sends more than the manifest says');
      }
      options.onProgress(received);
      yield chunk;
    }
  }
  const flags = target.offset === 0 ? 'w' : 'r+';
  const writer = createWriteStream(target.part, { flags, start: target.offset, mode: 0o600 });
  await pipeline(counted(), writer, { signal: options.signal });
}

async function verify(part: string, blob: Descriptor): Promise<void> {
  await using handle = await open(part, 'r');
  const meter = new DigestMeter({ highWaterMark: 1024 * 1024 });
  await pipeline(
    handle.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 }),
    meter,
    async (source) => {
      // Draining is enough: the meter has seen what passes.
      for await (const _ of source);
    },
  );
  if (meter.bytes < blob.sizeBytes) {
    throw new HyperError(
      'UNAVAILABLE',
      `blob ${blob.digest.slice(0, 19)}: the connection ended after ${String(meter.bytes)} of ${String(blob.sizeBytes)} bytes`,
    );
  }
  if (meter.digest() !== blob.digest) {
    await rm(part);
    throw new HyperError(
      'INVALID_ARGUMENT',
      `filesystem layer verification failed for digest ${blob.digest}: the content has ${meter.digest()}`,
    );
  }
  await handle.sync();
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size;
  } catch {
    return null;
  }
}
