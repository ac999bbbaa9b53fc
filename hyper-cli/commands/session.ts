import type { Socket } from 'node:net';

import type { ApiClient } from '../api-client.ts';
import { copyFrames, copyInput, watchTerminalSize } from '../output/terminal.ts';

export interface InputOptions {
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Where the terminal's size goes. */
  readonly resizePath: string;
}

export interface SessionOptions extends InputOptions {
  /** Path of the hijacking request, and its body. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
}

/** Connects our stdio with a process until its output ends. */
export async function runSession(api: ApiClient, options: SessionOptions): Promise<void> {
  const socket = await api.hijack(options.path, {
    ...(options.query === undefined ? {} : { query: options.query }),
    body: options.body,
  });
  const output = copyFrames(socket, options.tty);
  using _ = sendInput(api, socket, options, () => {
    socket.end();
  });
  await output;
}

/** Sends what our side has: the terminal's size, and stdin with `onEnd` after it. Dispose: no more. */
export function sendInput(
  api: ApiClient,
  socket: Socket,
  { stdin, tty, resizePath }: InputOptions,
  onEnd: () => void,
): Disposable {
  const stack = new DisposableStack();
  if (tty) {
    const onSize = (rows: number, columns: number): void => {
      // The process may have ended already; then its size is nobody's concern.
      api.open('POST', resizePath, { query: { h: rows, w: columns } }).catch(() => undefined);
    };
    stack.use(watchTerminalSize(onSize));
  }
  if (stdin) stack.use(copyInput(socket, tty, onEnd));
  return stack;
}
