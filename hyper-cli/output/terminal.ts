import type { Socket } from 'node:net';

const headerBytes = 8;

/** Copies a process's output (multiplexed, or raw of a terminal) to our stdout and stderr, to its end. */
export async function copyFrames(socket: AsyncIterable<unknown>, isTty: boolean): Promise<void> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of socket) {
    if (isTty) {
      await write(process.stdout, chunk as Buffer);
      continue;
    }
    pending = Buffer.concat([pending, chunk as Buffer]);
    pending = await writeFrames(pending);
  }
}

/** Copies Docker's multiplexed frames (1 stdout, 2 stderr; length big endian at 4); returns what is left. */
export async function writeFrames(bytes: Buffer): Promise<Buffer> {
  let rest = bytes;
  while (rest.length >= headerBytes) {
    const length = rest.readUInt32BE(4);
    if (rest.length < headerBytes + length) break;
    const target = rest[0] === 2 ? process.stderr : process.stdout;
    await write(target, rest.subarray(headerBytes, headerBytes + length));
    rest = rest.subarray(headerBytes + length);
  }
  return rest;
}

/** Sends our stdin to the connection; half-closes it at EOF. In a terminal each key goes at once. */
export function copyInput(socket: Socket, isTty: boolean): Disposable {
  const { stdin } = process;
  const isRaw = isTty && stdin.isTTY;
  if (isRaw) stdin.setRawMode(true);
  const onData = (chunk: Buffer): void => {
    if (!socket.write(chunk)) stdin.pause();
  };
  const onEnd = (): void => {
    socket.end();
  };
  socket.on('drain', () => stdin.resume());
  stdin.on('data', onData).on('end', onEnd).resume();
  return {
    [Symbol.dispose]() {
      if (isRaw) stdin.setRawMode(false);
      stdin.off('data', onData).off('end', onEnd).pause();
      stdin.unref();
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

function write(target: NodeJS.WriteStream, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    target.write(bytes, (error) => {
      if (error == null) resolve();
      else reject(error);
    });
  });
}
