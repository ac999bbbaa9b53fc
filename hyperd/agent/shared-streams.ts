import {
  decodeGuestPlace,
  FrameError,
  type SharedPlace,
} from '../../hyperstart/protocol/frame-codec.ts';
import {
  leastSharedBytes,
  sharedHalfBytes,
  sharedStreams,
  streamWindowBytes,
} from '../../hyperstart/protocol/frame.ts';
import type { SharedMemory } from '../base/shared-memory.ts';

/** A window of the host's half, which one stream goes round in. */
interface Window {
  readonly start: number;
  /** Bytes that the stream has put there so far. */
  count: number;
}

/** The pieces of streams that go through memory which host and guest share. */
export class SharedStreams {
  readonly #memory: SharedMemory | null;
  readonly #windows = new Map<number, Window>();
  readonly #free: number[];

  constructor(memory: SharedMemory | null) {
    const isUsable = memory !== null && memory.bytes >= 2 * sharedHalfBytes;
    this.#memory = isUsable ? memory : null;
    this.#free = Array.from(
      { length: isUsable ? sharedStreams : 0 },
      (_, index) => sharedHalfBytes + index * streamWindowBytes,
    );
  }

  get isUsable(): boolean {
    return this.#memory !== null;
  }

  /** The bytes that a shared frame tells of; throws FrameError for a place where none can be. */
  take(payload: Uint8Array): Uint8Array {
    if (this.#memory === null) throw new FrameError('bytes in shared memory that there is not');
    const { offset, length } = decodeGuestPlace(payload);
    return this.#memory.read(offset, length);
  }

  /**
   * Puts the beginning of a stream's next bytes there, which fit its flow-control window; null: they have
   * to go over the channel.
   */
  put(streamId: number, bytes: Uint8Array): SharedPlace | null {
    if (this.#memory === null || bytes.length < leastSharedBytes) return null;
    const window = this.#windowOf(streamId);
    if (window === null) return null;
    const from = window.count % streamWindowBytes;
    const length = Math.min(bytes.length, streamWindowBytes - from);
    this.#memory.write(window.start + from, bytes.subarray(0, length));
    window.count += length;
    return { offset: window.start + from, length };
  }

  /** The guest has dealt with all that the stream has put there: its window is another one's. */
  release(streamId: number): void {
    const window = this.#windows.get(streamId);
    if (window === undefined) return;
    this.#windows.delete(streamId);
    this.#free.push(window.start);
  }

  #windowOf(streamId: number): Window | null {
    const present = this.#windows.get(streamId);
    if (present !== undefined) return present;
    const start = this.#free.pop();
    if (start === undefined) return null;
    const window = { start, count: 0 };
    this.#windows.set(streamId, window);
    return window;
  }
}
