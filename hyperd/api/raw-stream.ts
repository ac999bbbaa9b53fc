import type { OutputChunk } from '../pod/container-service.ts';

export const rawStreamType = 'application/vnd.docker.raw-stream';
export const multiplexedStreamType = 'application/vnd.docker.multiplexed-stream';

const headerBytes = 8;
/** Up to here one write of a copy takes less than two. */
const copiedBytes = 16 * 1024;
const streamNumbers = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** A chunk of output as a frame of Docker's multiplexed stream. */
export function toFrame({ stream, bytes }: OutputChunk): Buffer {
  return toNumberedFrame(streamNumbers[stream], bytes);
}

/** The same in parts: large chunks are not copied. */
export function toFrameParts(chunk: OutputChunk): readonly Uint8Array[] {
  const { stream, bytes } = chunk;
  if (bytes.length < copiedBytes) return [toFrame(chunk)];
  return [toHeader(Buffer.allocUnsafe(headerBytes), streamNumbers[stream], bytes.length), bytes];
}

/** One frame: stream number, three zeros, length (big endian), bytes. */
export function toNumberedFrame(streamNumber: number, bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + bytes.length);
  toHeader(frame, streamNumber, bytes.length).set(bytes, headerBytes);
  return frame;
}

function toHeader(frame: Buffer, streamNumber: number, length: number): Buffer {
  frame.writeUInt32BE(streamNumber * 0x1000000, 0);
  frame.writeUInt32BE(length, 4);
  return frame;
}

/** How output travels to a client: bare from a terminal, else framed. */
export function encoderFor(tty: boolean): (chunk: OutputChunk) => Uint8Array {
  return tty ? (chunk) => chunk.bytes : toFrame;
}

/** The same in parts. */
export function partsFor(tty: boolean): (chunk: OutputChunk) => readonly Uint8Array[] {
  return tty ? (chunk) => [chunk.bytes] : toFrameParts;
}
