import { open } from 'node:fs/promises';
import { once } from 'node:events';

import { spawnProcess } from '../hyperd/base/subprocess.ts';

/**
 * Runs `action` while holding an exclusive lock on a file (created when missing); waits for other
 * holders. The kernel frees the lock when this process dies, however it dies.
 */
export async function withFileLock<T>(file: string, action: () => Promise<T>): Promise<T> {
  // flock(1) locks our open file description, which it shares with us, and exits.
  await using handle = await open(file, 'a');
  const flock = spawnProcess('flock', ['--exclusive', '3'], {
    stdio: ['ignore', 'inherit', 'inherit', handle.fd],
  });
  const [code] = (await once(flock, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${file}: flock failed with exit status ${String(code)}`);
  return await action();
}
