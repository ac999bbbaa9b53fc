import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** The stdin of a process that may not have been started yet: writers wait until it is there. */
export class ProcessStdin {
  #target = Promise.withResolvers<Writable | null>();

  /** null: the process has none; what is written is dropped. */
  open(target: Writable | null): void {
    // The process may close its stdin, or end, at any moment: that is no failure of the client's.
    target?.on('error', () => undefined);
    this.#target.resolve(target);
  }

  /** The process has ended: what comes now waits for the next one. */
  reset(): void {
    this.#target.resolve(null);
    this.#target = Promise.withResolvers<Writable | null>();
  }

  /** Resolves when there is room for more, or nobody reads any more. */
  async write(bytes: Uint8Array, givenUp: Promise<void>): Promise<void> {
    const target = await Promise.race([this.#target.promise, givenUp]);
    if (!target || !target.writable || bytes.length === 0 || target.write(bytes)) return;
    const gone = new AbortController();
    try {
      await Promise.race([
        once(target, 'drain', { signal: gone.signal }),
        once(target, 'close', { signal: gone.signal }),
        givenUp,
      ]);
    } catch {
      // The stream failed: nobody reads any more.
    } finally {
      gone.abort();
    }
  }

  /** End of file, once the process is there. */
  async end(): Promise<void> {
    const target = await this.#target.promise;
    if (target?.writable === true) target.end();
  }
}
