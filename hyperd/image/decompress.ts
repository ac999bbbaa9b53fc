import { PassThrough, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

import { HyperError } from '../base/error.ts';

const chunkSize = 256 * 1024;
const magicBytes = 6;
const refused: readonly (readonly [string, string])[] = [
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
];

export interface OpenedStream {
  /** Chooses by the first bytes: gzip, zstd, or none. */
  readonly decompressor: Transform;
  /** The whole stream, the first bytes included. */
  readonly source: AsyncIterable<Buffer>;
}

/** Looks at the first bytes of a stream. UNSUPPORTED for a compression that we do not have. */
export async function openCompressed(
  stream: AsyncIterable<Buffer>,
  what: string,
): Promise<OpenedStream> {
  const chunks = stream[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  while (first.length < magicBytes) {
    const next = await chunks.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  async function* source(): AsyncGenerator<Buffer> {
    try {
      yield first;
      for (;;) {
        const next = await chunks.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  }
  return { decompressor: decompressorFor(first, what), source: source() };
}

function decompressorFor(first: Buffer, what: string): Transform {
  const magic = first.subarray(0, magicBytes).toString('hex');
  if (magic.startsWith('1f8b')) return createGunzip({ chunkSize });
  if (magic.startsWith('28b52ffd')) return createZstdDecompress({ chunkSize });
  const other = refused.find(([prefix]) => magic.startsWith(prefix));
  if (other !== undefined) {
    throw new HyperError('UNSUPPORTED', `${what}: ${other[1]} compression is not supported`);
  }
  return new PassThrough({ highWaterMark: chunkSize });
}

/** True for what zlib throws at damaged or truncated input. */
export function isDecompressionError(thrown: unknown): boolean {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  return code.startsWith('Z_') || code.startsWith('ZSTD_');
}
