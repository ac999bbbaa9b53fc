import { createHash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';

import { HyperError } from '../base/error.ts';

/** `sha256:` and 64 hex digits (OCI image-spec, descriptor.md). */
export type Digest = string;

const digestPattern = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

/** Checks an untrusted digest. INVALID_ARGUMENT names the field; other algorithms are refused. */
export function parseDigest(value: unknown, field: string): Digest {
  if (typeof value !== 'string' || !isDigest(value)) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `${field}: ${JSON.stringify(value)} is no sha256 digest`,
    );
  }
  return value;
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The 64 hex digits. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** Passes bytes on and counts and hashes them. */
export class DigestMeter extends Transform {
  readonly #hash = createHash('sha256');
  bytes = 0;
  #digest: Digest | null = null;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
    callback(null, chunk);
  }

  /** Of all bytes; call it after the end. */
  digest(): Digest {
    this.#digest ??= `sha256:${this.#hash.digest('hex')}`;
    return this.#digest;
  }
}
