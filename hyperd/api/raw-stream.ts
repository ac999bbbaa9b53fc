import type { OutputChunk } from '../pod/container-service.ts';

export const rawStreamType = 'application/vnd.docker.raw-stream';
export const multiplexedStreamType = 'application/vnd.docker.multiplexed-stream';

const headerBytes = 8;
const streamNumbers = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** A chunk of output as a frame of Docker's multiplexed stream. */
export function toFrame({ stream, bytes }: OutputChunk): Buffer {
  return toNumberedFrame(streamNumbers[stream], bytes);
}

/** One frame: stream number, three zeros, length (big endian), bytes. */
export function toNumberedFrame(streamNumber: number, bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + bytes.length);
  frame.writeUInt32BE(streamNumber * 0x1000000, 0);
  frame.writeUInt32BE(bytes.length, 4);
  frame.set(bytes, headerBytes);
  return frame;
}

/** How output travels to a client: bare from a terminal, else framed. */
export function encoderFor(tty: boolean): (chunk: OutputChunk) => Uint8Array {
  return tty ? (chunk) => chunk.bytes : toFrame;
}
