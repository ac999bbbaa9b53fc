import { type Kernel, setUint64, struct } from '../../hyperstart/sys/kernel.ts';

const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;

/** Strings with a NUL behind each, as the kernel tells those of a process: what is passed on is the same bytes. */
export class Words {
  readonly #kernel: Kernel;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #starts: readonly number[];

  constructor(kernel: Kernel, file: string) {
    this.#kernel = kernel;
    this.#bytes = readBytes(kernel, file);
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

/** The whole file; a NUL at its end, if it lacks one. */
function readBytes(kernel: Kernel, file: string): Uint8Array<ArrayBuffer> {
  const fd = kernel.call(`open ${file}`, 'openat', AT_FDCWD, file, O_CLOEXEC, 0);
  try {
    let buffer = new ArrayBuffer(64 * 1024);
    let length = 0;
    for (;;) {
      const start = kernel.native.addressOf(buffer) + length;
      const got = kernel.call(`read ${file}`, 'read', fd, start, buffer.byteLength - length - 1);
      if (got === 0) break;
      length += got;
      if (length + 1 < buffer.byteLength) continue;
      const larger = new ArrayBuffer(buffer.byteLength * 4);
      new Uint8Array(larger).set(new Uint8Array(buffer));
      buffer = larger;
    }
    const bytes = new Uint8Array(buffer);
    return new Uint8Array(buffer.slice(0, bytes[length - 1] === 0 ? length : length + 1));
  } finally {
    kernel.close(fd);
  }
}

/** Pointers as execve takes them. */
export function pointers(addresses: readonly number[]): ArrayBuffer {
  return struct((addresses.length + 1) * 8, (view) => {
    for (const [index, address] of addresses.entries()) setUint64(view, index * 8, address);
  });
}
