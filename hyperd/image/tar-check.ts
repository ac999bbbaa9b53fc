import { Transform, type TransformCallback } from 'node:stream';

import { HyperError } from '../base/error.ts';

const blockBytes = 512;
const maxMetadataBytes = 1024 * 1024;
/** Types of tar entries that a layer may hold: files, links, devices, directories, FIFOs and name extensions. */
const knownTypes = new Set(['0', '\0', '1', '2', '3', '4', '5', '6', '7', 'x', 'g', 'L', 'K']);

/**
 * Passes a layer's tar on and refuses what must not reach the converter: a damaged or truncated
 * archive, entries whose names climb out of the root, and types that no layer has.
 */
export class TarCheck extends Transform {
  readonly #what: string;
  #header = Buffer.alloc(0);
  /** Payload bytes (with padding) of the current entry still to come. */
  #left = 0;
  /** Payload of the current extension header, while it is one. */
  #metadata: { readonly type: string; readonly size: number; bytes: Buffer } | null = null;
  #extendedName: string | null = null;
  #hasEnded = false;
  #sawEntry = false;

  constructor(what: string) {
    super();
    this.#what = what;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    try {
      this.#scan(chunk);
      callback(null, chunk);
    } catch (thrown) {
      callback(thrown as Error);
    }
  }

  override _flush(callback: TransformCallback): void {
    const isWhole = this.#left === 0 && this.#header.length === 0;
    callback(isWhole || this.#hasEnded ? null : this.#fault('it is truncated'));
  }

  #scan(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && !this.#hasEnded) {
      if (this.#left > 0) {
        const part = rest.subarray(0, this.#left);
        this.#collect(part);
        this.#left -= part.length;
        rest = rest.subarray(part.length);
        if (this.#left === 0) this.#endMetadata();
        continue;
      }
      const part = rest.subarray(0, blockBytes - this.#header.length);
      this.#header = Buffer.concat([this.#header, part]);
      rest = rest.subarray(part.length);
      if (this.#header.length === blockBytes) {
        const header = this.#header;
        this.#header = Buffer.alloc(0);
        this.#readHeader(header);
      }
    }
  }

  #readHeader(header: Buffer): void {
    if (header.every((byte) => byte === 0)) {
      this.#hasEnded = true;
      return;
    }
    if (parseNumber(header.subarray(148, 156)) !== checksumOf(header)) {
      throw this.#fault(this.#sawEntry ? 'a header is damaged' : 'it is no tar archive');
    }
    this.#sawEntry = true;
    const type = String.fromCharCode(header[156] ?? 0);
    if (!knownTypes.has(type)) {
      throw this.#fault(`an entry is of the unknown type ${JSON.stringify(type)}`);
    }
    const size = parseNumber(header.subarray(124, 136));
    if (!Number.isSafeInteger(size) || size < 0) throw this.#fault('an entry has no valid size');
    this.#left = Math.ceil(size / blockBytes) * blockBytes;
    if ('xgLK'.includes(type)) {
      if (size > maxMetadataBytes) throw this.#fault('an extension header is larger than 1 MiB');
      this.#metadata = { type, size, bytes: Buffer.alloc(0) };
      if (this.#left === 0) this.#endMetadata();
      return;
    }
    this.#checkName(this.#extendedName ?? headerName(header));
    if (type === '1') this.#checkName(text(header.subarray(157, 257)));
    this.#extendedName = null;
  }

  #collect(part: Buffer): void {
    if (this.#metadata === null) return;
    this.#metadata.bytes = Buffer.concat([this.#metadata.bytes, part]);
  }

  #endMetadata(): void {
    const metadata = this.#metadata;
    this.#metadata = null;
    if (metadata === null) return;
    const bytes = metadata.bytes.subarray(0, metadata.size);
    if (metadata.type === 'L') this.#extendedName = text(bytes);
    if (metadata.type === 'K') this.#checkExtension(text(bytes));
    if (metadata.type === 'x') this.#readPax(bytes);
  }

  /** Records of the form `LENGTH KEY=VALUE\n` (pax, "Extended header"). */
  #readPax(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      const space = rest.indexOf(0x20);
      const length = Number(rest.toString('latin1', 0, Math.max(space, 0)));
      if (space <= 0 || !Number.isSafeInteger(length) || length <= space || length > rest.length) {
        throw this.#fault('a pax header is damaged');
      }
      const record = rest.toString('utf8', space + 1, length - 1);
      rest = rest.subarray(length);
      if (record.startsWith('path=')) this.#extendedName = record.slice('path='.length);
    }
  }

  /** A long link target: of a hard link it must stay inside; of a symbolic one the guest resolves it. */
  #checkExtension(target: string): void {
    if (target.includes('\0')) throw this.#fault('a link target has a NUL');
  }

  #checkName(name: string): void {
    if (name.split('/').includes('..')) {
      throw this.#fault(`the entry ${JSON.stringify(name)} points out of the root`);
    }
    if (name === '') throw this.#fault('an entry has no name');
  }

  #fault(why: string): HyperError {
    return new HyperError('INVALID_ARGUMENT', `${this.#what}: ${why}`);
  }
}

function headerName(header: Buffer): string {
  const name = text(header.subarray(0, 100));
  const isUstar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? text(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** Octal digits, or GNU's base-256 for what they cannot hold. */
function parseNumber(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0) {
    const digits = text(field).trim();
    return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  }
  return field.subarray(1).reduce((value, byte) => value * 256 + byte, (field[0] ?? 0) & 0x7f);
}

function checksumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte;
  return sum;
}
