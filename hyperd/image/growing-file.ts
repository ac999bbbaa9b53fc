import type { FileHandle } from 'node:fs/promises';

import { writeAll } from '../base/write-all.ts';

const readBytes = 256 * 1024;

/** A file that one writes at its end while another reads from its start. */
export class GrowingFile {
  readonly #handle: FileHandle;
  #length = 0;
  #end: { readonly fault: unknown } | null = null;
  #changed = Promise.withResolvers<null>();

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes that the file has already count as written. */
  adopt(bytes: number): void {
    this.#length += bytes;
    this.#wake();
  }

  async write(chunk: Uint8Array): Promise<void> {
    await writeAll(this.#handle, chunk, this.#length);
    this.adopt(chunk.length);
  }

  /** The reader ends after the last byte; with a fault it fails at once. */
  end(fault: unknown = null): void {
    this.#end ??= { fault };
    this.#wake();
  }

  /** From the first byte to the end, as it is written. */
  async *read(): AsyncGenerator<Buffer> {
    let position = 0;
    for (;;) {
      if (this.#end !== null && this.#end.fault !== null) throw this.#end.fault as Error;
      if (position === this.#length) {
        if (this.#end !== null) return;
        await this.#changed.promise;
        continue;
      }
      const wanted = Math.min(readBytes, this.#length - position);
      const buffer = Buffer.allocUnsafe(wanted);
      const { bytesRead } = await this.#handle.read(buffer, 0, wanted, position);
      if (bytesRead === 0) throw new Error('the file became shorter while it was read');
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  #wake(): void {
    this.#changed.resolve(null);
    this.#changed = Promise.withResolvers<null>();
  }
}
