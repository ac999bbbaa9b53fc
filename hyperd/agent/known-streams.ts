import { FrameError } from '../../hyperstart/protocol/frame-codec.ts';
import type { GuestHello, ProcessRef, StdioStreams } from '../../hyperstart/protocol/message.ts';

/** Ids that a guest may claim in its hello; the others are left for us to allocate. */
const maxClaimedId = 2 ** 31;
const maxId = 2 ** 32 - 1;

/**
 * Which stream ids are in use in a VM, and by which process. Only hyperd allocates them: a frame for any
 * other is none of our business, whatever the guest says.
 */
export class KnownStreams {
  readonly #ids = new Set<number>();
  readonly #byProcess = new Map<string, StdioStreams>();
  readonly #exited = new Set<string>();
  #next = 1;

  /** Takes over the streams that the guest tells of; throws FrameError for ids that we cannot have given. */
  adopt(hello: GuestHello): void {
    for (const { streams, exit, ...ref } of hello.processes) {
      for (const id of idsOf(streams)) {
        if (id > maxClaimedId || this.#ids.has(id)) {
          throw new FrameError(`the hello names stream ${String(id)} that cannot be`);
        }
        this.#ids.add(id);
        this.#next = Math.max(this.#next, id + 1);
      }
      this.started(ref, streams);
      if (exit !== null) this.exited(ref);
    }
  }

  allocate(): number {
    if (this.#next > maxId) throw new Error('a VM has no more stream ids');
    const id = this.#next++;
    this.#ids.add(id);
    return id;
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  /** The stream is over: what still comes for it is of no interest. */
  delete(id: number): void {
    this.#ids.delete(id);
  }

  /** A process is asked for that uses these streams. */
  started(ref: ProcessRef, streams: StdioStreams): void {
    this.#byProcess.set(keyOf(ref), streams);
  }

  exited(ref: ProcessRef): void {
    if (this.#byProcess.has(keyOf(ref))) this.#exited.add(keyOf(ref));
  }

  /** The guest has released the process; returns the streams that it has forgotten with it. */
  released(ref: ProcessRef): readonly number[] {
    const key = keyOf(ref);
    if (!this.#exited.delete(key)) return [];
    const streams = this.#byProcess.get(key);
    this.#byProcess.delete(key);
    const ids = streams === undefined ? [] : idsOf(streams);
    for (const id of ids) this.#ids.delete(id);
    return ids;
  }

  /** The process never came to be; its streams are free of it. */
  failed(ref: ProcessRef): void {
    this.#byProcess.delete(keyOf(ref));
  }
}

function keyOf({ containerId, execId }: ProcessRef): string {
  return `${containerId}/${execId ?? ''}`;
}

function idsOf({ stdin, stdout, stderr }: StdioStreams): readonly number[] {
  return [stdin, stdout, stderr].filter((id) => id !== null);
}
