import { Writable } from 'node:stream';

import { FrameError } from '../../hyperstart/protocol/frame-codec.ts';
import { maxDataBytes, streamWindowBytes } from '../../hyperstart/protocol/frame.ts';

export interface InputSession {
  /** Whether the channel takes more bytes now; when it does again, `channelDrained` is to be called. */
  readonly isWritable: boolean;
  data(streamId: number, bytes: Uint8Array): void;
  eof(streamId: number): void;
}

/** Host to guest: a write completes when all of it has been sent, which the guest's window allows or delays. */
export class GuestInput extends Writable {
  readonly #streamId: number;
  readonly #session: InputSession;
  #unacknowledged = 0;
  #isReset = false;
  #isEofSent = false;
  #pending: { bytes: Uint8Array; readonly callback: (error?: Error | null) => void } | null = null;

  constructor(streamId: number, session: InputSession) {
    super({ highWaterMark: 64 * 1024, decodeStrings: true });
    this.#streamId = streamId;
    this.#session = session;
    this.on('error', () => undefined);
  }

  /** The guest has consumed bytes; throws FrameError for more than were sent. */
  receiveCredit(bytes: number): void {
    if (bytes > this.#unacknowledged) {
      throw new FrameError(
        `credit for bytes that were not sent on stream ${String(this.#streamId)}`,
      );
    }
    this.#unacknowledged -= bytes;
    this.#send();
  }

  /** Nobody reads in the guest any more: what is written from now on vanishes, as into a closed pipe. */
  receiveReset(): void {
    this.#isReset = true;
    this.#send();
  }

  /** The channel takes bytes again. */
  channelDrained(): void {
    this.#send();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.#pending = { bytes: chunk, callback };
    this.#send();
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#sendEof();
    callback();
  }

  /** A writer that gives up has no more to say: its reader shall not wait for it. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#pending = null;
    this.#sendEof();
    callback(error);
  }

  #sendEof(): void {
    if (this.#isReset || this.#isEofSent) return;
    this.#isEofSent = true;
    this.#session.eof(this.#streamId);
  }

  #send(): void {
    while (this.#pending !== null) {
      const { bytes, callback } = this.#pending;
      const room = streamWindowBytes - this.#unacknowledged;
      if (bytes.length === 0 || this.#isReset) {
        this.#pending = null;
        callback();
        return;
      }
      if (room === 0 || !this.#session.isWritable) return;
      const part = bytes.subarray(0, Math.min(room, maxDataBytes));
      this.#session.data(this.#streamId, part);
      this.#unacknowledged += part.length;
      this.#pending.bytes = bytes.subarray(part.length);
    }
  }
}
