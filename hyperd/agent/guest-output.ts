import { Readable } from 'node:stream';

import { FrameError } from '../../hyperstart/protocol/frame-codec.ts';
import { streamWindowBytes } from '../../hyperstart/protocol/frame.ts';

/** What a stream needs of its session. */
export interface OutputSession {
  /** Acknowledges bytes: the guest forgets them and may send as many more. */
  credit(streamId: number, bytes: number): void;
  reset(streamId: number): void;
}

/** Smaller pieces are gathered: the window bounds bytes, and every piece costs far more than one. */
const gatherBytes = 16 * 1024;

interface Piece {
  readonly buffer: Uint8Array;
  length: number;
}

/**
 * Guest to host. A chunk is acknowledged when its reader comes for the next one, so what a killed hyperd
 * had not dealt with is sent again. Holds at most one window; a guest that sends more breaks the protocol.
 * What came before the end of the session can still be read; then the stream fails.
 */
export class GuestOutput extends Readable {
  readonly #streamId: number;
  readonly #session: OutputSession;
  readonly #waiting: Piece[] = [];
  #waitingBytes = 0;
  /** Handed to the reader and not acknowledged yet. */
  #handedBytes = 0;
  #isWanted = false;
  #hasEnded = false;
  #failure: Error | null = null;

  constructor(streamId: number, session: OutputSession) {
    super({ highWaterMark: 0 });
    this.#streamId = streamId;
    this.#session = session;
    // Nobody may be reading when the session ends: that must not end hyperd.
    this.on('error', () => undefined);
  }

  /** Bytes that came and wait for the reader. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Bytes that came; throws FrameError when they are more than the window. */
  receive(bytes: Uint8Array): void {
    if (this.destroyed) return;
    if (this.#hasEnded) {
      throw new FrameError(`data after the end of stream ${String(this.#streamId)}`);
    }
    if (this.#waitingBytes + this.#handedBytes + bytes.length > streamWindowBytes) {
      throw new FrameError(`stream ${String(this.#streamId)} exceeds its window`);
    }
    this.#append(bytes);
    this.#waitingBytes += bytes.length;
    this.#deliver();
  }

  receiveEnd(): void {
    this.#hasEnded = true;
    this.#deliver();
  }

  /** Nothing more will come: the stream fails once its reader has what is here, unless it has ended. */
  receiveFailure(error: Error): void {
    this.#failure = error;
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
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    if (!this.readableEnded) this.#session.reset(this.#streamId);
    callback(error);
  }

  #append(bytes: Uint8Array): void {
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.length + bytes.length <= last.buffer.length) {
      last.buffer.set(bytes, last.length);
      last.length += bytes.length;
      return;
    }
    const buffer = bytes.length < gatherBytes ? Buffer.allocUnsafe(gatherBytes) : bytes;
    if (buffer !== bytes) buffer.set(bytes);
    this.#waiting.push({ buffer, length: bytes.length });
  }

  #deliver(): void {
    if (!this.#isWanted) return;
    const piece = this.#waiting.shift();
    if (piece !== undefined) {
      this.#isWanted = false;
      this.#waitingBytes -= piece.length;
      this.#handedBytes += piece.length;
      this.push(piece.buffer.subarray(0, piece.length));
    } else if (this.#hasEnded) {
      this.#isWanted = false;
      this.push(null);
    } else if (this.#failure !== null) {
      this.destroy(this.#failure);
    }
  }
}
