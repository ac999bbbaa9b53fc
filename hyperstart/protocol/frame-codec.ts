import {
  type Frame,
  frameHeaderBytes,
  FrameType,
  maxDataBytes,
  maxMessageBytes,
  sharedHalfBytes,
  streamWindowBytes,
} from './frame.ts';

/** The peer broke the rules of frame.ts; the session cannot go on. */
export class FrameError extends Error {
  constructor(reason: string) {
    super(`protocol violation: ${reason}`);
    this.name = 'FrameError';
  }
}

/** One frame as bytes: header and payload. */
export function encodeFrame(frame: Frame): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + frame.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, frame.payload.length, true);
  view.setUint32(4, frame.streamId, true);
  view.setUint8(8, frame.type);
  bytes.set(frame.payload, frameHeaderBytes);
  return bytes;
}

/** Payload of a credit frame. */
export function encodeCredit(bytes: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes, true);
  return payload;
}

export function decodeCredit(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0, true);
}

/** Where bytes are in shared memory. */
export interface SharedPlace {
  readonly offset: number;
  readonly length: number;
}

/** Payload of a shared frame. */
export function encodePlace({ offset, length }: SharedPlace): Uint8Array {
  const payload = new Uint8Array(8);
  const view = new DataView(payload.buffer);
  view.setUint32(0, offset, true);
  view.setUint32(4, length, true);
  return payload;
}

/** Of a shared frame of the guest's; throws FrameError for what is not in its half. */
export function decodeGuestPlace(payload: Uint8Array): SharedPlace {
  const view = new DataView(payload.buffer, payload.byteOffset, 8);
  const place = { offset: view.getUint32(0, true), length: view.getUint32(4, true) };
  const { offset, length } = place;
  if (length === 0 || length > streamWindowBytes || offset + length > sharedHalfBytes) {
    throw new FrameError(`${String(length)} bytes of shared memory at ${String(offset)}`);
  }
  return place;
}

/**
 * Cuts a byte stream into frames, skipping everything before the session's preamble. A header is checked
 * before anything is allocated for its payload; a violation throws FrameError.
 */
export class FrameDecoder {
  readonly #preamble: Uint8Array;
  #isSynchronized = false;
  #matched = 0;
  readonly #header = new Uint8Array(frameHeaderBytes);
  #headerBytes = 0;
  #payload: Uint8Array | null = null;
  #payloadBytes = 0;

  constructor(preamble: Uint8Array) {
    this.#preamble = preamble;
  }

  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let position = this.#isSynchronized ? 0 : this.#synchronize(bytes);
    while (position < bytes.length) {
      if (this.#payload === null) {
        position += this.#takeHeader(bytes, position);
        if (this.#headerBytes < frameHeaderBytes) break;
        this.#payload = new Uint8Array(this.#checkedLength());
      }
      const wanted = this.#payload.length - this.#payloadBytes;
      const part = bytes.subarray(position, position + wanted);
      this.#payload.set(part, this.#payloadBytes);
      this.#payloadBytes += part.length;
      position += part.length;
      if (this.#payloadBytes < this.#payload.length) break;
      frames.push(this.#endFrame(this.#payload));
    }
    return frames;
  }

  /** Looks for the preamble; returns where the first frame starts. Its first byte occurs in it only once. */
  #synchronize(bytes: Uint8Array): number {
    const preamble = this.#preamble;
    for (let position = 0; position < bytes.length; position++) {
      const byte = bytes[position];
      this.#matched =
        byte === preamble[this.#matched] ? this.#matched + 1 : Number(byte === preamble[0]);
      if (this.#matched === preamble.length) {
        this.#isSynchronized = true;
        return position + 1;
      }
    }
    return bytes.length;
  }

  #takeHeader(bytes: Uint8Array, position: number): number {
    const part = bytes.subarray(position, position + frameHeaderBytes - this.#headerBytes);
    this.#header.set(part, this.#headerBytes);
    this.#headerBytes += part.length;
    return part.length;
  }

  #endFrame(payload: Uint8Array): Frame {
    const view = new DataView(this.#header.buffer);
    this.#headerBytes = 0;
    this.#payload = null;
    this.#payloadBytes = 0;
    return { type: view.getUint8(8) as FrameType, streamId: view.getUint32(4, true), payload };
  }

  #checkedLength(): number {
    const view = new DataView(this.#header.buffer);
    const length = view.getUint32(0, true);
    const streamId = view.getUint32(4, true);
    const type = view.getUint8(8);
    if (view.getUint32(8, true) >>> 8 !== 0)
      throw new FrameError('reserved header bytes are not zero');
    if ((type === FrameType.message) !== (streamId === 0)) {
      throw new FrameError(`frame type ${String(type)} on stream ${String(streamId)}`);
    }
    if (!isAllowed(type, length)) {
      throw new FrameError(`frame type ${String(type)} with ${String(length)} bytes`);
    }
    return length;
  }
}

function isAllowed(type: number, length: number): boolean {
  switch (type) {
    case FrameType.message:
      return length > 0 && length <= maxMessageBytes;
    case FrameType.data:
      return length > 0 && length <= maxDataBytes;
    case FrameType.credit:
      return length === 4;
    case FrameType.shared:
      return length === 8;
    case FrameType.eof:
    case FrameType.reset:
      return length === 0;
    default:
      return false;
  }
}
