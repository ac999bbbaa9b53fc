import { Files } from '../../hyperstart/sys/files.ts';
import type { Kernel } from '../../hyperstart/sys/kernel.ts';

/** More than the kernel takes for arguments and environment. */
const maxBytes = 16 * 1024 * 1024;

/** Strings with a NUL behind each, as the kernel tells those of a process: what is passed on is the same bytes. */
export class Words {
  readonly #kernel: Kernel;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #starts: readonly number[];

  constructor(kernel: Kernel, file: string) {
    this.#kernel = kernel;
    const { buffer, length } = new Files(kernel).readBytes(file, maxBytes);
    const read = new Uint8Array(buffer, 0, length);
    const isEnded = length === 0 || read[length - 1] === 0;
    this.#bytes = new Uint8Array(isEnded ? length : length + 1);
    this.#bytes.set(read);
    const starts: number[] = [];
    for (let at = 0; at < this.#bytes.length; at = this.#bytes.indexOf(0, at) + 1) starts.push(at);
    this.#starts = starts;
  }

  get texts(): readonly string[] {
    return this.#starts.map((start) => {
      const end = this.#bytes.indexOf(0, start);
      return this.#kernel.native.decodeText(this.#bytes.buffer, start, end - start);
    });
  }

  /** Valid as long as this object is referenced. */
  get addresses(): readonly number[] {
    const base = this.#kernel.native.addressOf(this.#bytes.buffer);
    return this.#starts.map((start) => base + start);
  }
}
