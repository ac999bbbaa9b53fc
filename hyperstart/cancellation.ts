import { RequestError } from './request-error.ts';

/** Tells a request's handler that nobody waits for its answer any more (QuickJS has no AbortSignal). */
export class Cancellation {
  #cancelled = false;
  readonly #callbacks = new Set<() => void>();

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  cancel(): void {
    this.#cancelled = true;
    for (const callback of this.#callbacks) callback();
    this.#callbacks.clear();
  }

  /** Calls back on cancellation, at most once; returns a function that takes the callback back. */
  onCancel(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => {
      this.#callbacks.delete(callback);
    };
  }

  throwIfCancelled(): void {
    if (this.#cancelled) throw new RequestError('CANCELLED', 'the request was cancelled');
  }
}
