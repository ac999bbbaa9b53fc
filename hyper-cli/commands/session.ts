import type { ApiClient } from '../api-client.ts';
import { copyFrames, copyInput, watchTerminalSize } from '../output/terminal.ts';

export interface SessionOptions {
  /** Path of the hijacking request, and its body. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Where the terminal's size goes. */
  readonly resizePath: string;
  /** Called when the connection stands, before anything is copied. */
  readonly onAttached?: () => Promise<void>;
}

/** Connects our stdio with a process until its output ends. */
export async function runSession(api: ApiClient, options: SessionOptions): Promise<void> {
  const socket = await api.hijack(options.path, {
    ...(options.query === undefined ? {} : { query: options.query }),
    body: options.body,
  });
  const output = copyFrames(socket, options.tty);
  output.catch(() => undefined);
  await options.onAttached?.();
  using _ = options.tty
    ? watchTerminalSize((rows, columns) => {
        const size = { h: rows, w: columns };
        // The process may have ended already; then its size is nobody's concern.
        api.open('POST', options.resizePath, { query: size }).catch(() => undefined);
      })
    : null;
  using stack = new DisposableStack();
  if (options.stdin) stack.use(copyInput(socket, options.tty));
  await output;
}
