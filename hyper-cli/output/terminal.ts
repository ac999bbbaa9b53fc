import type { Socket } from 'node:net';

import { ReaderGone } from '../cli-error.ts';
import type { runEventStream } from '../../hyperd/api/schema/hyper.ts';

const headerBytes = 8;
const eventStream: typeof runEventStream = 4;

/** Takes the text of a frame that is no output. */
export type OnEvent = (text: string) => void;

/** Copies a process's output (multiplexed, or raw of a terminal) to our stdout and stderr, to its end. */
export async function copyFrames(
  socket: AsyncIterable<unknown>,
  isTty: boolean,
  onEvent: OnEvent = () => undefined,
): Promise<void> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of socket) {
    if (isTty) {
      await write(process.stdout, chunk as Buffer);
      continue;
    }
    pending = Buffer.concat([pending, chunk as Buffer]);
    pending = await writeFrames(pending, onEvent);
  }
}

/** Copies Docker's multiplexed frames (1 stdout, 2 stderr; length big endian at 4); returns what is left. */
async function writeFrames(bytes: Buffer, onEvent: OnEvent): Promise<Buffer> {
  let rest = bytes;
  while (rest.length >= headerBytes) {
    const length = rest.readUInt32BE(4);
    if (rest.length < headerBytes + length) break;
    const content = rest.subarray(headerBytes, headerBytes + length);
    if (rest[0] === eventStream) onEvent(content.toString('utf8'));
    else await write(rest[0] === 2 ? process.stderr : process.stdout, content);
    rest = rest.subarray(headerBytes + length);
  }
  return rest;
}

/** Sends our stdin to the connection, then calls `onEnd`. In a terminal each key goes at once. */
export function copyInput(socket: Socket, isTty: boolean, onEnd: () => void): Disposable {
  const { stdin } = process;
  const isRaw = isTty && stdin.isTTY;
  if (isRaw) stdin.setRawMode(true);
  const onData = (chunk: Buffer): void => {
    if (!socket.write(chunk)) stdin.pause();
  };
  socket.on('drain', () => stdin.resume());
  stdin.on('data', onData).on('end', onEnd).resume();
  return {
    [Symbol.dispose]() {
      if (isRaw) stdin.setRawMode(false);
      stdin.off('data', onData).off('end', onEnd).pause();
      // A file has nothing to let go of.
      if ('unref' in stdin) stdin.unref();
    },
  };
}

/** Tells the size of our terminal now and whenever it changes. */
export function watchTerminalSize(onSize: (rows: number, columns: number) => void): Disposable {
  const report = (): void => {
    onSize(process.stdout.rows, process.stdout.columns);
  };
  if (process.stdout.isTTY) report();
  process.stdout.on('resize', report);
  return {
    [Symbol.dispose]() {
      process.stdout.off('resize', report);
    },
  };
}

/** Writes; resolves when the bytes have been handed over. Rejects with ReaderGone when nobody reads them. */
function write(target: NodeJS.WriteStream, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    // The event of the same failure; without a listener it would end us at once.
    if (target.listenerCount('error') === 0) target.on('error', () => undefined);
    target.write(bytes, (error: NodeJS.ErrnoException | null | undefined) => {
      if (error == null) resolve();
      else reject(error.code === 'EPIPE' ? new ReaderGone() : error);
    });
  });
}
