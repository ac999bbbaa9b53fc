import { Readable } from 'node:stream';
import type { Writable } from 'node:stream';

import type { OutputChunk, StdioSession } from '../container-service.ts';

export interface AttachSessionOptions {
  readonly tty: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Called once, when the session is over, for whatever reason. */
  readonly onClose: (session: AttachSession) => void;
}

const queuedChunks = 4;
/** What a session may owe its client once nobody waits for it any more. */
const maxOverdueBytes = 8 * 1024 * 1024;

/** One client's hold on a process's stdio. */
export class AttachSession implements StdioSession {
  readonly tty: boolean;
  readonly output: Readable;
  readonly detached: Promise<void>;
  /** Settles when the session is over. */
  readonly closed: Promise<void>;
  stdin: Writable | null = null;
  readonly #options: AttachSessionOptions;
  readonly #detach = Promise.withResolvers<undefined>();
  readonly #close = Promise.withResolvers<undefined>();
  #prelude: Promise<void> | null = null;
  #waiting: (() => void)[] = [];
  #isRelaxed = false;
  #isClosed = false;
  #overdueBytes = 0;

  constructor(options: AttachSessionOptions) {
    this.#options = options;
    this.tty = options.tty;
    this.detached = this.#detach.promise;
    this.closed = this.#close.promise;
    this.output = new Readable({
      objectMode: true,
      highWaterMark: queuedChunks,
      read: () => {
        this.#overdueBytes = 0;
        this.#releaseWaiting();
      },
      destroy: (cause, done) => {
        this.close();
        done(cause);
      },
    });
    this.output.on('error', () => undefined);
  }

  /** Hands over what was before; what is offered meanwhile waits behind it. */
  replay(earlier: AsyncIterable<OutputChunk>): Promise<void> {
    const play = async (): Promise<void> => {
      for await (const chunk of earlier) {
        if (this.#isClosed) return;
        await this.#push(chunk);
      }
    };
    this.#prelude = play().catch(() => undefined);
    return this.#prelude;
  }

  /** Hands over a chunk; resolves when the client has room again, or is gone. */
  async offer(chunk: OutputChunk): Promise<void> {
    await this.#prelude;
    await this.#push(chunk);
  }

  #push(chunk: OutputChunk): Promise<void> {
    if (this.#isClosed || !this.#options[chunk.stream]) return Promise.resolve();
    if (this.output.push(chunk)) return Promise.resolve();
    if (this.#isRelaxed) {
      this.#overdueBytes += chunk.bytes.length;
      if (this.#overdueBytes > maxOverdueBytes) this.close();
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** From now on the process is not held back any more: the little that is left is kept for the client. */
  relax(): void {
    this.#isRelaxed = true;
    this.#releaseWaiting();
  }

  /** Lets go because the client typed its detach keys. */
  detach(): void {
    this.#detach.resolve(undefined);
    this.close();
  }

  /** Ends `output` after what is queued. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#releaseWaiting();
    if (!this.output.destroyed) this.output.push(null);
    this.#close.resolve(undefined);
    this.#options.onClose(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    this.output.destroy();
    this.stdin?.destroy();
    return Promise.resolve();
  }

  #releaseWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
