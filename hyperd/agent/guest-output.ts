import { Readable } from 'node:stream';

import { FrameError } from '../../hyperstart/protocol/frame-codec.ts';
import { streamWindowBytes } from '../../hyperstart/protocol/frame.ts';

/** What a stream needs of its session. */
export interface OutputSession {
  /** Acknowledges bytes: the guest forgets them and may send as many more. */
  credit(streamId: number, bytes: number): void;
  reset(streamId: number): void;
}

/**
 * Guest to host. A chunk is acknowledged when its reader comes for the next one, so what a killed hyperd
 * had not dealt with is sent again. Holds at most one window; a guest that sends more breaks the protocol.
 */
export class GuestOutput extends Readable {
  readonly #streamId: number;
  readonly #session: OutputSession;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Handed to the reader and not acknowledged yet. */
  #handedBytes = 0;
  #isWanted = false;
  #hasEnded = false;

  constructor(streamId: number, session: OutputSession) {
    super({ highWaterMark: 0 });
    this.#streamId = streamId;
    this.#session = session;
  }

  /** Bytes that came; throws FrameError when they are more than the window. */
  receive(bytes: Uint8Array): void {
    if (this.destroyed) return;
    if (this.#hasEnded)
      throw new FrameError(`data after the end of stream ${String(this.#streamId)}`);
    if (this.#waitingBytes + this.#handedBytes + bytes.length > streamWindowBytes) {
      throw new FrameError(`stream ${String(this.#streamId)} exceeds its window`);
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#deliver();
  }

  receiveEnd(): void {
    this.#hasEnded = true;
    this.#deliver();
  }

  override _read(): void {
    if (this.#handedBytes > 0) {
      this.#session.credit(this.#streamId, this.#handedBytes);
      this.#handedBytes = 0;
    }
    this.#isWanted = true;
    this.#deliver();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.readableEnded) this.#session.reset(this.#streamId);
    callback(error);
  }

  #deliver(): void {
    if (!this.#isWanted) return;
    const chunk = this.#waiting.shift();
    if (chunk !== undefined) {
      this.#isWanted = false;
      this.#waitingBytes -= chunk.length;
      this.#handedBytes += chunk.length;
      this.push(chunk);
    } else if (this.#hasEnded) {
      this.#isWanted = false;
      this.push(null);
    }
  }
}
