import type { Readable } from 'node:stream';

import { HyperError } from '../base/error.ts';

/** Reads a short body to its end. INVALID_ARGUMENT when it is longer than the limit. */
export async function readLimited(body: Readable, limit: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limit) {
      throw new HyperError('INVALID_ARGUMENT', `${what}: larger than ${String(limit)} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
