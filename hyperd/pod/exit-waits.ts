import type { WaitCondition, WaitResult } from './container-service.ts';

interface Waiter {
  readonly condition: WaitCondition;
  readonly resolve: (result: WaitResult) => void;
}

/** Those who wait for a container to end or to be removed. */
export class ExitWaits {
  readonly #waiters = new Set<Waiter>();

  /** Rejects only when the signal aborts. */
  wait(condition: WaitCondition, signal: AbortSignal): Promise<WaitResult> {
    const { promise, resolve, reject } = Promise.withResolvers<WaitResult>();
    const waiter = { condition, resolve };
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    this.#waiters.add(waiter);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    return promise.finally(() => {
      this.#waiters.delete(waiter);
      signal.removeEventListener('abort', onAbort);
    });
  }

  /** A life has ended. `stays`: no restart follows. */
  onExit(result: WaitResult, stays: boolean): void {
    for (const { condition, resolve } of this.#waiters) {
      if (condition === 'next-exit' || (condition === 'not-running' && stays)) resolve(result);
    }
  }

  onRemoved(result: WaitResult): void {
    for (const { resolve } of this.#waiters) resolve(result);
  }
}
