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
    // Without an AbortSignal: this is once per chunk, and to abort one costs more than the chunk.
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => {
      resolve(undefined);
    };
    target.once('drain', wake).once('close', wake);
    await Promise.race([promise, givenUp]);
    target.off('drain', wake).off('close', wake);
  }

  /** End of file, once the process is there. */
  async end(): Promise<void> {
    const target = await this.#target.promise;
    if (target?.writable === true) target.end();
  }
}
