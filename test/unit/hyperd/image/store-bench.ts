import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { ImageStore, ProgressMessage } from '../../../../hyperd/image/image-store.ts';
import type { RegistryConfig } from '../../../../hyperd/image/registry-config.ts';
import { openImageStore } from '../../../../hyperd/image/store.ts';
import { testMkfsErofs } from '../../../support/erofs.ts';

/** An image store in a directory of its own. Dispose closes it and removes the directory. */
export class StoreBench implements AsyncDisposable {
  readonly directory: string;
  readonly #registries: RegistryConfig;
  store: ImageStore;
  #isOpen = true;

  private constructor(directory: string, registries: RegistryConfig, store: ImageStore) {
    this.directory = directory;
    this.#registries = registries;
    this.store = store;
  }

  static async open(registries: RegistryConfig = {}): Promise<StoreBench> {
    const directory = await mkdtemp(path.join(tmpdir(), 'hyper-images-'));
    return new StoreBench(directory, registries, await openStore(directory, registries));
  }

  /** As after a restart of the daemon. */
  async reopen(): Promise<void> {
    await this.close();
    await this.open();
  }

  async close(): Promise<void> {
    if (this.#isOpen) await this.store[Symbol.asyncDispose]();
    this.#isOpen = false;
  }

  /** Once more, when the store was closed. */
  async open(): Promise<void> {
    this.store = await openStore(this.directory, this.#registries);
    this.#isOpen = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.directory, { recursive: true });
  }
}

async function openStore(directory: string, registries: RegistryConfig): Promise<ImageStore> {
  return openImageStore({ directory, mkfsErofs: await testMkfsErofs(), registries });
}

/** Options of a pull, load or import that collect its progress. */
export class Transfer {
  readonly messages: ProgressMessage[] = [];
  readonly #abort = new AbortController();
  readonly signal: AbortSignal = this.#abort.signal;
  /** Called with each message. */
  onMessage: (message: ProgressMessage) => void = () => undefined;
  readonly onProgress = (message: ProgressMessage): void => {
    this.messages.push(message);
    this.onMessage(message);
  };

  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  /** Statuses without repetition of the same in a row. */
  statuses(id?: string): readonly string[] {
    return this.messages
      .filter((message) => id === undefined || message.id === id)
      .map(({ status }) => status ?? '')
      .filter((status, index, all) => status !== all[index - 1]);
  }
}
