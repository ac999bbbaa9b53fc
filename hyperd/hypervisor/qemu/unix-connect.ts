import { once } from 'node:events';
import { watch } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';

import { isErrno } from '../../base/error.ts';

/** Between bind and listen a socket refuses for an instant, of which no file event tells. */
const retryMs = 5;

/** Connects to a Unix socket, waiting for it to appear. Rejects with the signal's reason on abort. */
export async function connectUnix(socketPath: string, signal: AbortSignal): Promise<Socket> {
  const watcher = watch(path.dirname(socketPath));
  using _ = {
    [Symbol.dispose]() {
      watcher.close();
    },
  };
  for (;;) {
    signal.throwIfAborted();
    // Armed before the attempt, so that a socket made in between is not missed.
    const changed = once(watcher, 'change', { signal });
    changed.catch(() => undefined);
    try {
      const socket = connect(socketPath);
      await once(socket, 'connect', { signal });
      return socket;
    } catch (thrown) {
      if (isErrno(thrown, 'ENOENT')) await changed;
      else if (isErrno(thrown, 'ECONNREFUSED'))
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      else throw thrown;
    }
  }
}
