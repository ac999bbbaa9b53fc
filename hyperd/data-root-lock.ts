import { once } from 'node:events';
import { open } from 'node:fs/promises';
import path from 'node:path';

import { HyperError, messageOf } from './base/error.ts';
import { spawnProcess } from './base/subprocess.ts';

/**
 * Takes a data root for this process alone. CONFLICT names the process that has it. The kernel frees
 * the lock when the process ends, however it ends.
 */
export async function lockDataRoot(dataRoot: string): Promise<AsyncDisposable> {
  const file = path.join(dataRoot, 'hyperd.lock');
  const handle = await open(file, 'a+');
  try {
    // flock(1) locks our open file description, which it shares with us, and exits.
    const flock = spawnProcess('flock', ['--exclusive', '--nonblock', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', handle.fd],
    });
    const [code] = (await once(flock, 'close')) as [number | null];
    if (code !== 0) {
      const owner = (await handle.readFile('utf8')).trim();
      throw new HyperError('CONFLICT', `${dataRoot} is in use by another hyperd (pid ${owner})`, {
        hint: 'stop it, or give this one a --data-root and --exec-root of its own',
      });
    }
    await handle.truncate();
    await handle.write(`${String(process.pid)}\n`);
    return handle;
  } catch (cause) {
    await handle.close();
    throw cause instanceof HyperError
      ? cause
      : new HyperError('INTERNAL', `locking ${file}: ${messageOf(cause)}`, { cause });
  }
}
