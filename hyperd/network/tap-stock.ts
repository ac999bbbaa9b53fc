import type { PreparedTap } from './network-manager.ts';

export interface TapStockOptions {
  readonly make: () => Promise<PreparedTap>;
  readonly size: number;
  /** From a TAP's leaving to the making of the next one, in milliseconds: a start is going on then. */
  readonly restMs: number;
}

/** TAPs that wait for their VM: making one runs two programs, which no start should wait for. */
export class TapStock implements AsyncDisposable {
  readonly #options: TapStockOptions;
  readonly #ready: PreparedTap[] = [];
  #timer: NodeJS.Timeout | null = null;
  #filling: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: TapStockOptions) {
    this.#options = options;
  }

  /** A TAP that is the caller's now. */
  async take(): Promise<PreparedTap> {
    const tap = this.#ready.pop();
    this.#fillLater();
    return tap ?? (await this.#options.make());
  }

  /** Removes the TAPs that nobody has taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#filling;
    await Promise.all(this.#ready.splice(0).map((tap) => tap[Symbol.asyncDispose]()));
  }

  #fillLater(): void {
    if (this.#isClosed || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#filling = this.#filling.then(() => this.#fill());
    }, this.#options.restMs).unref();
  }

  async #fill(): Promise<void> {
    try {
      while (!this.#isClosed && this.#ready.length < this.#options.size) {
        this.#ready.push(await this.#options.make());
      }
    } catch {
      // Who needs one has it made, and is told why that fails.
    }
  }
}
