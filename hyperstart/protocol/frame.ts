/**
 * The frame layer: everything on the control channel is a frame, after one preamble per session.
 *
 * A session starts when hyperd connects: each side sends the preamble, then a hello message. The preamble
 * of hyperd ends with a key, new for each session, which the guest repeats in its own: what hyperd gets
 * before that is left over from an earlier session, and is skipped.
 *
 * Frame header, 12 bytes, little endian: u32 payload length · u32 stream id · u8 type · 3 zero bytes.
 *
 * Flow control. A sender keeps what it has sent on a stream until the receiver acknowledges it by
 * CREDIT and never has more than `streamWindowBytes` unacknowledged. Unacknowledged bytes from the
 * guest are sent again after a reconnect, so a restart of hyperd loses no output.
 *
 * Shared memory. Where guest and host have memory in common (not every hypervisor has such a device),
 * larger pieces of a stream are put there, and only their place goes over the channel. The first half is
 * the guest's to write to, the second half the host's. A place may be used again once its bytes are
 * acknowledged, which the window sees to: the sender of a stream goes round in `streamWindowBytes` of its own.
 */
export const preambleStart: Uint8Array = Uint8Array.from('HYPER-AGENT\r', (character) =>
  character.charCodeAt(0),
);

export const preambleKeyBytes = 4;

/** A preamble, by its key. Bytes of a key have their highest bit set: no part of it is like a start. */
export function preambleOf(key: Uint8Array): Uint8Array {
  return Uint8Array.of(...preambleStart, ...key.map((byte) => byte | 0x80));
}

export const frameHeaderBytes = 12;

export const FrameType = {
  /** Stream 0: one JSON message, UTF-8 (message.ts). */
  message: 1,
  /** Bytes of a stream, at least 1. */
  data: 2,
  /** Payload u32: so many more bytes of the stream were consumed by the receiver. */
  credit: 3,
  /** No further data in this direction (half-close). Sent after the last data frame. */
  eof: 4,
  /** The receiver takes no more: the sender discards and closes its source, as EPIPE would. */
  reset: 5,
  /** Data in shared memory. Payload: u32 offset · u32 length, at least 1 and within the sender's half. */
  shared: 6,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const maxMessageBytes = 1024 * 1024;
export const maxDataBytes = 32 * 1024;
export const streamWindowBytes = 256 * 1024;
/** So many streams of each side have a window of the shared memory. */
export const sharedStreams = 8;
export const sharedHalfBytes = sharedStreams * streamWindowBytes;
/** Fewer bytes are not worth a place in shared memory. */
export const leastSharedBytes = 4096;

export interface Frame {
  readonly type: FrameType;
  /** 0 for messages; else a stream id that hyperd chose (1 … 2^32-1), unique for the VM's life. */
  readonly streamId: number;
  readonly payload: Uint8Array;
}
