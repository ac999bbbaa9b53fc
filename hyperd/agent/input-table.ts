import { encodePlace } from '../../hyperstart/protocol/frame-codec.ts';
import { type Frame, FrameType, maxDataBytes } from '../../hyperstart/protocol/frame.ts';
import { GuestInput } from './guest-input.ts';
import type { SharedStreams } from './shared-streams.ts';

/** The channel as inputs see it. */
export interface InputChannel {
  /** False: it takes no more for now; `channelDrained` is to be called when it does. */
  readonly isWritable: boolean;
  send(frame: Frame): void;
}

const empty = new Uint8Array(0);

/** The inputs of a session's streams, from the first byte until the guest has dealt with the last. */
export class InputTable {
  readonly #channel: InputChannel;
  readonly #shared: SharedStreams;
  readonly #inputs = new Map<number, GuestInput>();

  constructor(channel: InputChannel, shared: SharedStreams) {
    this.#channel = channel;
    this.#shared = shared;
  }

  open(streamId: number): GuestInput {
    const channel = this.#channel;
    const input = new GuestInput(streamId, {
      get isWritable() {
        return channel.isWritable;
      },
      data: (id, bytes) => this.#sendData(id, bytes),
      eof: (id) => {
        channel.send({ type: FrameType.eof, streamId: id, payload: empty });
      },
    });
    this.#inputs.set(streamId, input);
    input.once('close', () => {
      this.#forgetIfOver(streamId);
    });
    return input;
  }

  receiveCredit(streamId: number, bytes: number): void {
    this.#inputs.get(streamId)?.receiveCredit(bytes);
    this.#forgetIfOver(streamId);
  }

  /** The guest takes no more of the stream. */
  reset(streamId: number): void {
    this.#inputs.get(streamId)?.receiveReset();
    this.#forgetIfOver(streamId);
  }

  resetAll(): void {
    for (const streamId of [...this.#inputs.keys()]) this.reset(streamId);
  }

  channelDrained(): void {
    for (const input of this.#inputs.values()) input.channelDrained();
  }

  /** Not before: what the guest has not taken yet may lie in shared memory. */
  #forgetIfOver(streamId: number): void {
    if (this.#inputs.get(streamId)?.isOver !== true) return;
    this.#inputs.delete(streamId);
    this.#shared.release(streamId);
  }

  #sendData(streamId: number, bytes: Uint8Array): number {
    const place = this.#shared.put(streamId, bytes);
    if (place !== null) {
      this.#channel.send({ type: FrameType.shared, streamId, payload: encodePlace(place) });
      return place.length;
    }
    const payload = bytes.subarray(0, maxDataBytes);
    this.#channel.send({ type: FrameType.data, streamId, payload });
    return payload.length;
  }
}
