import { once, EventEmitter } from 'node:events';

import { isErrno } from '../base/error.ts';
import type { DockerEvent, EventHub } from './container-service.ts';

const keptEvents = 1024;

/** Keeps the last 1024 events, as Docker does, and hands each to every subscriber at its own pace. */
export class RecentEvents implements EventHub {
  readonly #kept: DockerEvent[] = [];
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  /** Number of the first kept event, counted since the start. */
  #dropped = 0;

  publish(event: DockerEvent): void {
    this.#kept.push(event);
    if (this.#kept.length > keptEvents) {
      this.#kept.shift();
      this.#dropped += 1;
    }
    this.#emitter.emit('event');
  }

  async *subscribe(
    sinceUnixNanos: bigint | null,
    signal: AbortSignal,
  ): AsyncGenerator<DockerEvent> {
    let next = this.#dropped + this.#kept.length;
    if (sinceUnixNanos !== null) {
      const index = this.#kept.findIndex((event) => event.unixNanos >= sinceUnixNanos);
      if (index >= 0) next = this.#dropped + index;
    }
    while (!signal.aborted) {
      // A subscriber that is too slow misses what has gone, as with Docker, and never holds us up.
      next = Math.max(next, this.#dropped);
      const event = this.#kept[next - this.#dropped];
      if (event !== undefined) {
        next += 1;
        yield event;
        continue;
      }
      try {
        await once(this.#emitter, 'event', { signal });
      } catch (thrown) {
        if (!isErrno(thrown, 'ABORT_ERR')) throw thrown;
      }
    }
  }
}
