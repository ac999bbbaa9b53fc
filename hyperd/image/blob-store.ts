import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';

import { HyperError } from '../base/error.ts';
import { hexOf } from './digest.ts';
import { GrowingFile } from './growing-file.ts';
import type { Descriptor } from './manifest.ts';

export interface FetchedBlob {
  readonly body: Readable;
  /** Where in the blob the body starts: 0 when the server ignored the range. */
  readonly offset: number;
}

export interface DownloadOptions {
  /** Asks the registry for the blob from an offset on. */
  readonly fetch: (offset: number, signal: AbortSignal) => Promise<FetchedBlob>;
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number) => void;
  /** All bytes are there and their digest is right. */
  readonly onVerified: () => void;
  /** An attempt failed. Resolves when the next may begin, rejects to give up. */
  readonly onFault: (fault: unknown, hasProgressed: boolean) => Promise<void>;
}

/** The content does not have the digest that it was asked by. */
export class DigestError extends HyperError {
  /** True when a part of it was left by an earlier download: from the start it may come right. */
  readonly wasResumed: boolean;

  constructor(message: string, wasResumed: boolean) {
    super('INVALID_ARGUMENT', message);
    this.wasResumed = wasResumed;
  }
}

const scanBytes = 1024 * 1024;

/**
 * Blobs on their way to layers: `<hex>.part` is what has arrived of one. The next download goes on
 * where the last ended; the digest over all of it decides, so a part is never trusted.
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

  /**
   * Downloads a blob while `consume` reads it; the stream ends only when the digest is right. A fault of
   * the download counts more than what it did to the consumer. The part stays until `remove`.
   */
  async stream<T>(
    blob: Descriptor,
    options: DownloadOptions,
    consume: (content: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    const part = this.#partOf(blob);
    await using handle = await open(part, constants.O_RDWR | constants.O_CREAT, 0o600);
    const file = new GrowingFile(handle);
    const [download, consumed] = await Promise.allSettled([
      this.#download(blob, { handle, file }, options),
      consume(file.read()),
    ]);
    if (download.status === 'rejected') throw download.reason as Error;
    if (consumed.status === 'rejected') throw consumed.reason as Error;
    return consumed.value;
  }

  async remove(blob: Descriptor): Promise<void> {
    await rm(this.#partOf(blob), { force: true });
  }

  /** Forgets all unfinished downloads. Returns the bytes freed. */
  async clear(): Promise<number> {
    let freedBytes = 0;
    for (const name of await readdir(this.#directory)) {
      const file = path.join(this.#directory, name);
      freedBytes += (await stat(file)).blocks * 512;
      await rm(file);
    }
    return freedBytes;
  }

  async #download(
    blob: Descriptor,
    target: { readonly handle: FileHandle; readonly file: GrowingFile },
    options: DownloadOptions,
  ): Promise<void> {
    const { handle, file } = target;
    try {
      const hash = createHash('sha256');
      await adoptPart(handle, { file, hash, limit: blob.sizeBytes });
      const wasResumed = file.length > 0;
      if (wasResumed) options.onProgress(file.length);
      while (file.length < blob.sizeBytes) {
        await attempt(blob, { file, hash }, options);
      }
      const digest = `sha256:${hash.digest('hex')}`;
      if (digest !== blob.digest) {
        await this.remove(blob);
        const text = `filesystem layer verification failed for digest ${blob.digest}: the content has ${digest}`;
        throw new DigestError(text, wasResumed);
      }
      options.onVerified();
      file.end();
    } catch (thrown) {
      file.end(thrown);
      throw thrown;
    }
  }

  #partOf(blob: Descriptor): string {
    return path.join(this.#directory, `${hexOf(blob.digest)}.part`);
  }
}

interface Sink {
  readonly file: GrowingFile;
  readonly hash: Hash;
}

/** What an earlier download left counts as arrived. */
async function adoptPart(
  handle: FileHandle,
  { file, hash, limit }: Sink & { readonly limit: number },
): Promise<void> {
  const buffer = Buffer.allocUnsafe(scanBytes);
  for (;;) {
    const wanted = Math.min(scanBytes, limit - file.length);
    if (wanted === 0) return;
    const { bytesRead } = await handle.read(buffer, 0, wanted, file.length);
    if (bytesRead === 0) return;
    hash.update(buffer.subarray(0, bytesRead));
    file.adopt(bytesRead);
  }
}

/** One request; returns when the blob is whole or the next attempt may begin. */
async function attempt(blob: Descriptor, sink: Sink, options: DownloadOptions): Promise<void> {
  const before = sink.file.length;
  try {
    const { body, offset } = await options.fetch(before, options.signal);
    let toSkip = before - offset;
    for await (const received of body as AsyncIterable<Buffer>) {
      const chunk = received.subarray(Math.min(toSkip, received.length));
      toSkip -= received.length - chunk.length;
      if (chunk.length === 0) continue;
      if (sink.file.length + chunk.length > blob.sizeBytes) {
        const text = `blob ${blob.digest}: the registry sends more than the ${String(blob.sizeBytes)} bytes of the manifest`;
        throw new HyperError('INVALID_ARGUMENT', text);
      }
      sink.hash.update(chunk);
      await sink.file.write(chunk);
      options.onProgress(sink.file.length);
    }
    if (sink.file.length < blob.sizeBytes) {
      const text = `blob ${blob.digest}: the connection ended after ${String(sink.file.length)} of ${String(blob.sizeBytes)} bytes`;
      throw new HyperError('UNAVAILABLE', text);
    }
  } catch (thrown) {
    options.signal.throwIfAborted();
    await options.onFault(thrown, sink.file.length > before);
  }
}
