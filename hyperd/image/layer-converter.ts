import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { once } from 'node:events';
import path from 'node:path';
import { PassThrough, type Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';

import { HyperError, messageOf } from '../base/error.ts';
import { spawnProcess } from '../base/subprocess.ts';
import { type Digest, DigestMeter, hexOf } from './digest.ts';
import { TarCheck } from './tar-check.ts';

export interface ConvertedLayer {
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly sizeBytes: number;
}

export interface ConvertOptions {
  readonly signal: AbortSignal;
  /** Compressed bytes consumed so far. */
  readonly onProgress?: (bytes: number) => void;
}

const stderrTailChars = 1000;

/** Turns layer tars into EROFS images, content-addressed by diffId, without unpacking them anywhere. */
export class LayerConverter {
  readonly #directory: string;
  readonly #mkfsErofs: string;
  #nextTemporary = 0;

  private constructor(directory: string, mkfsErofs: string) {
    this.#directory = directory;
    this.#mkfsErofs = mkfsErofs;
  }

  /** Removes what a killed daemon left half-made. */
  static async open(directory: string, mkfsErofs: string): Promise<LayerConverter> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const file of await readdir(directory)) {
      if (file.endsWith('.tmp')) await rm(path.join(directory, file));
    }
    return new LayerConverter(directory, mkfsErofs);
  }

  /** Where the image of a layer is, or will be. */
  pathOf(diffId: Digest): string {
    return path.join(this.#directory, `${hexOf(diffId)}.erofs`);
  }

  /** All diffIds that have an image. */
  async list(): Promise<readonly Digest[]> {
    const files = await readdir(this.#directory);
    return files
      .filter((file) => file.endsWith('.erofs'))
      .map((file) => `sha256:${file.slice(0, 64)}`);
  }

  async remove(diffId: Digest): Promise<number> {
    const file = this.pathOf(diffId);
    const { blocks } = await stat(file);
    await rm(file);
    return blocks * 512;
  }

  /** Converts a layer file (tar, plain or compressed). With `expected`, a different diffId is an error. */
  async convert(
    file: string,
    expected: Digest | null,
    options: ConvertOptions,
  ): Promise<ConvertedLayer> {
    const source = createReadStream(file, { highWaterMark: 256 * 1024 });
    const what = expected === null ? 'layer' : `layer ${expected.slice(0, 19)}`;
    return this.#build(source, await decompressorFor(file, what), { what, expected, ...options });
  }

  async #build(
    source: Readable,
    decompressor: Transform,
    job: ConvertOptions & { readonly what: string; readonly expected: Digest | null },
  ): Promise<ConvertedLayer> {
    const temporary = path.join(this.#directory, `${String(this.#nextTemporary++)}.tmp`);
    const meter = new DigestMeter({ highWaterMark: 256 * 1024 });
    const mkfs = spawnProcess(
      this.#mkfsErofs,
      ['--quiet', '--tar=f', '--aufs', '-Uclear', '-Enoinline_data', temporary],
      { stdio: ['pipe', 'ignore', 'pipe'] },
    );
    const ended = once(mkfs, 'close');
    ended.catch(() => undefined);
    let stderr = '';
    mkfs.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-stderrTailChars);
    });
    try {
      if (mkfs.stdin === null) throw new Error('mkfs.erofs has no input');
      await pipeline(
        counted(source, job.onProgress),
        decompressor,
        new TarCheck(job.what),
        meter,
        mkfs.stdin,
        {
          signal: job.signal,
        },
      );
      const [code] = (await ended) as [number | null];
      if (code !== 0) {
        throw new HyperError('INTERNAL', `${job.what}: mkfs.erofs failed: ${stderr.trim()}`);
      }
      const diffId = meter.digest();
      if (job.expected !== null && diffId !== job.expected) {
        const text = `${job.what}: its content has the digest ${diffId}, the image config says ${job.expected}`;
        throw new HyperError('INVALID_ARGUMENT', text);
      }
      await sync(temporary);
      await rename(temporary, this.pathOf(diffId));
      return { diffId, sizeBytes: meter.bytes };
    } catch (thrown) {
      mkfs.kill('SIGKILL');
      await ended.catch(() => undefined);
      await rm(temporary, { force: true });
      job.signal.throwIfAborted();
      throw explain(thrown, job.what, stderr);
    }
  }
}

/** Tells how much was taken; a listener for data would start the flow too early. */
async function* counted(
  source: Readable,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncGenerator<Buffer> {
  let consumed = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    consumed += chunk.length;
    onProgress?.(consumed);
    yield chunk;
  }
}

function explain(thrown: unknown, what: string, stderr: string): unknown {
  if (thrown instanceof HyperError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (code.startsWith('Z_') || code.startsWith('ZSTD') || code === 'ERR_BUFFER_TOO_LARGE') {
    return new HyperError(
      'INVALID_ARGUMENT',
      `${what}: it cannot be decompressed: ${messageOf(thrown)}`,
      {
        cause: thrown,
      },
    );
  }
  const detail = code === 'EPIPE' && stderr !== '' ? stderr.trim() : messageOf(thrown);
  return new HyperError('INTERNAL', `${what}: conversion to EROFS failed: ${detail}`, {
    cause: thrown,
  });
}

async function decompressorFor(file: string, what: string): Promise<Transform> {
  await using handle = await open(file, 'r');
  const magic = Buffer.alloc(6);
  await handle.read(magic, 0, magic.length, 0);
  if (magic.readUInt16BE(0) === 0x1f8b) return createGunzip({ chunkSize: 256 * 1024 });
  if (magic.readUInt32LE(0) === 0xfd2fb528) return createZstdDecompress({ chunkSize: 256 * 1024 });
  const others: readonly (readonly [string, string])[] = [
    ['fd377a585a00', 'xz'],
    ['425a68', 'bzip2'],
  ];
  const other = others.find(([prefix]) => magic.toString('hex').startsWith(prefix));
  if (other !== undefined) {
    throw new HyperError('UNSUPPORTED', `${what}: ${other[1]} compression is not supported`);
  }
  return new PassThrough();
}

async function sync(file: string): Promise<void> {
  await using handle = await open(file, 'r');
  await handle.sync();
}
