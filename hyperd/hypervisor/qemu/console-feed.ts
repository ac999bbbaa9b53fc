import { Duplex } from 'node:stream';

import { ConsoleRing } from '../../base/console-ring.ts';
import { HyperError } from '../../base/error.ts';

const keptBytes = 64 * 1024;

/** What the guest kernel prints: the last of it kept, and shown live to at most one reader. */
export class ConsoleFeed {
  readonly #ring = new ConsoleRing(keptBytes);
  #reader: Duplex | null = null;
  #isClosed = false;

  push(chunk: Buffer): void {
    this.#ring.push(chunk);
    // A reader that does not keep up loses output; the guest must never wait for it.
    if (this.#reader !== null && this.#reader.readableLength < keptBytes) this.#reader.push(chunk);
  }

  text(): string {
    return this.#ring.text();
  }

  /** A stream of what is kept and what comes; it cannot be written to. */
  open(): Duplex {
    if (this.#reader !== null && !this.#reader.destroyed) {
      throw new HyperError('INVALID_STATE', 'QEMU: the console has a reader already');
    }
    const reader = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => {
        done(new HyperError('UNSUPPORTED', 'QEMU: the console takes no input'));
      },
    });
    reader.push(this.#ring.text());
    if (this.#isClosed) reader.push(null);
    else this.#reader = reader;
    return reader;
  }

  close(): void {
    this.#isClosed = true;
    this.#reader?.push(null);
  }
}
