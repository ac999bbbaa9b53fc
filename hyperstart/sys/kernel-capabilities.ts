import type { Files } from './files.ts';
import { SpawnError } from './sys.ts';

/** Which capabilities the kernel knows; it is asked once. */
export class KernelCapabilities {
  readonly #files: Files;
  #last = 0;

  constructor(files: Files) {
    this.#files = files;
  }

  /** Number of the last one. */
  last(): number {
    if (this.#last === 0) this.#last = this.#read();
    return this.#last;
  }

  #read(): number {
    const last = Number(this.#files.readFile('/proc/sys/kernel/cap_last_cap'));
    if (Number.isInteger(last) && last > 0) return last;
    throw new SpawnError('identity', 'EINVAL', 'the kernel does not tell its capabilities');
  }
}
