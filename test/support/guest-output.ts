import { Readable } from 'node:stream';

/** Output that waits in the guest until it is read; a write resolves when it is. */
export class GuestOutput {
  #queue: { readonly bytes: Buffer; readonly taken: () => void }[] = [];
  #isEnded = false;
  #reader: Readable | null = null;
  #wantsMore = false;

  /** After the end nothing is taken any more: its process is gone. */
  write(bytes: Buffer): Promise<void> {
    return new Promise((taken) => {
      if (this.#isEnded) return;
      this.#queue.push({ bytes, taken });
      this.#feed();
    });
  }

  end(): void {
    this.#isEnded = true;
    this.#feed();
  }

  open(): Readable {
    this.#wantsMore = false;
    this.#reader = new Readable({
      highWaterMark: 1,
      read: () => {
        this.#wantsMore = true;
        this.#feed();
      },
    });
    return this.#reader;
  }

  hangUp(): void {
    this.#reader?.destroy();
    this.#reader = null;
  }

  #feed(): void {
    if (this.#reader === null || !this.#wantsMore) return;
    const next = this.#queue.shift();
    if (next !== undefined) {
      this.#wantsMore = false;
      this.#reader.push(next.bytes);
      next.taken();
    } else if (this.#isEnded) {
      this.#wantsMore = false;
      this.#reader.push(null);
    }
  }
}
