import { EventEmitter, on } from 'node:events';

import type { DockerEvent, EventHub } from '../../hyperd/pod/container-service.ts';

/** An event hub that keeps everything. */
export class FakeEventHub implements EventHub {
  readonly kept: DockerEvent[] = [];
  readonly #live = new EventEmitter();

  publish(event: DockerEvent): void {
    this.kept.push(event);
    this.#live.emit('event', event);
  }

  subscribe(sinceUnixNanos: bigint | null, signal: AbortSignal): AsyncIterable<DockerEvent> {
    const replayed =
      sinceUnixNanos === null
        ? []
        : this.kept.filter(({ unixNanos }) => unixNanos >= sinceUnixNanos);
    return merge(replayed, on(this.#live, 'event', { signal }));
  }
}

async function* merge(
  replayed: readonly DockerEvent[],
  live: AsyncIterable<unknown[]>,
): AsyncIterable<DockerEvent> {
  yield* replayed;
  for await (const [event] of live) {
    yield event as DockerEvent;
  }
}
