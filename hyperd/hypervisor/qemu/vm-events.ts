import { HyperError } from '../../base/error.ts';
import type { QmpEvent } from './qmp-client.ts';

interface Removal {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What QEMU has told about its VM by itself, kept for those who ask later. */
export class VmEvents {
  /** Why the VM ended, in QEMU's words (`ShutdownCause`). */
  shutdownReason: string | null = null;
  /** Called when the guest's CPUs were stopped, by whomever. */
  onStop: () => void = () => undefined;
  readonly #removals = new Map<string, Removal>();
  #migration: PromiseWithResolvers<string> | null = null;
  #gone: Error | null = null;

  receive({ event, data }: QmpEvent): void {
    const device = textOf(data['device']);
    switch (event) {
      case 'SHUTDOWN':
        this.shutdownReason = textOf(data['reason']);
        break;
      case 'STOP':
        this.onStop();
        break;
      case 'MIGRATION':
        this.#migrated(textOf(data['status']));
        break;
      case 'DEVICE_DELETED':
        this.#take(device)?.resolve();
        break;
      case 'DEVICE_UNPLUG_GUEST_ERROR':
        this.#take(device)?.reject(
          new HyperError('CONFLICT', `the guest refuses to let go of device ${device}`),
        );
        break;
    }
  }

  /** Settles when the guest has let go of a device: ask before the request is made. */
  removalOf(deviceId: string): Promise<void> {
    if (this.#gone !== null) return Promise.reject(this.#gone);
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.#removals.set(deviceId, {
      resolve: () => {
        resolve(undefined);
      },
      reject,
    });
    return promise;
  }

  /** Settles with how the next migration ended (`MigrationStatus`): ask before it is begun. */
  migrationEnd(): Promise<string> {
    if (this.#gone !== null) return Promise.reject(this.#gone);
    this.#migration = Promise.withResolvers<string>();
    return this.#migration.promise;
  }

  #migrated(status: string): void {
    if (!['completed', 'failed', 'cancelled'].includes(status)) return;
    this.#migration?.resolve(status);
    this.#migration = null;
  }

  /** Nothing more will be told. */
  close(error: Error): void {
    this.#gone = error;
    for (const { reject } of this.#removals.values()) reject(error);
    this.#migration?.reject(error);
    this.#removals.clear();
  }

  #take(deviceId: string): Removal | undefined {
    const removal = this.#removals.get(deviceId);
    this.#removals.delete(deviceId);
    return removal;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : 'unknown';
}
