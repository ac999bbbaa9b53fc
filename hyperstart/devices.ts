import type { Cancellation } from './cancellation.ts';
import { guard } from './guard.ts';
import { RequestError } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

export const deviceTimeoutMs = 10_000;

/** Lets callers wait for hot-plugged devices by the kernel's uevents. */
export class DeviceWatcher {
  readonly #sys: Sys;
  readonly #waiters = new Set<() => void>();
  readonly #removalCallbacks: (() => void)[] = [];

  constructor(sys: Sys) {
    this.#sys = sys;
    sys.onUevent(
      guard(sys, 'a device event', (uevent) => {
        const callbacks = uevent.startsWith('remove@') ? this.#removalCallbacks : this.#waiters;
        for (const callback of [...callbacks]) callback();
      }),
    );
  }

  /** Calls back whenever some device went away. */
  onRemoval(callback: () => void): void {
    this.#removalCallbacks.push(callback);
  }

  /**
   * Resolves with what `probe` finds, now or after a later device event. Rejects when that takes more
   * than `deviceTimeoutMs`: `missing` then words what was not there.
   */
  waitFor<T>(probe: () => T | null, missing: () => string, cancellation: Cancellation): Promise<T> {
    cancellation.throwIfCancelled();
    const present = probe();
    if (present !== null) return Promise.resolve(present);
    return new Promise<T>((resolve, reject) => {
      const end = (settle: () => void): void => {
        if (!this.#waiters.delete(retry)) return;
        dropCancel();
        settle();
      };
      const fail = (error: Error): void => {
        end(() => {
          reject(error);
        });
      };
      const retry = (): void => {
        try {
          const found = probe();
          if (found !== null) {
            end(() => {
              resolve(found);
            });
          }
        } catch (error) {
          fail(error as Error);
        }
      };
      const dropCancel = cancellation.onCancel(() => {
        fail(new RequestError('CANCELLED', `gave up waiting for ${missing()}`));
      });
      this.#waiters.add(retry);
      this.#sys.setTimer(deviceTimeoutMs, () => {
        const seconds = String(deviceTimeoutMs / 1000);
        fail(new RequestError('NOT_FOUND', `${missing()} did not appear within ${seconds} s`));
      });
    });
  }
}
