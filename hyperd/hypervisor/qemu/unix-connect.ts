import { once } from 'node:events';
import { type FSWatcher, watch } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { isErrno } from '../../base/error.ts';

/** Between bind and listen a socket refuses for an instant, of which no file event tells. */
const retryMs = 5;

/** Connects to a Unix socket, waiting for it to appear. Rejects with the signal's reason on abort. */
export async function connectUnix(socketPath: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const watcher = watch(path.dirname(socketPath));
  using _ = {
    [Symbol.dispose]() {
      watcher.close();
    },
  };
  watcher.on('error', () => undefined);
  // Armed before the attempt, so that a socket made in between is not missed.
  let changed = nextChange(watcher, signal);
  for (;;) {
    const socket = connect(socketPath);
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (thrown) {
      socket.destroy();
      signal.throwIfAborted();
      if (isErrno(thrown, 'ENOENT')) {
        await unless(signal, changed);
        changed = nextChange(watcher, signal);
      } else if (isErrno(thrown, 'ECONNREFUSED')) {
        await unless(signal, delay(retryMs, undefined, { signal }));
      } else throw thrown;
    }
  }
}

function nextChange(watcher: FSWatcher, signal: AbortSignal): Promise<unknown> {
  const changed = once(watcher, 'change', { signal });
  changed.catch(() => undefined);
  return changed;
}

/** Node's own rejection on abort hides the reason, which is the better story. */
async function unless(signal: AbortSignal, waiting: Promise<unknown>): Promise<void> {
  try {
    await waiting;
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown;
  }
}
