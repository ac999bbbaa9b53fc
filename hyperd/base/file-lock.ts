import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';

import { HyperError, messageOf } from './error.ts';
import { spawnProcess } from './subprocess.ts';

/**
 * Takes a file for this process alone; null when another process has it. Closing the handle frees it, and
 * so does the kernel when the process ends, however it ends. `flags` are those of open(2).
 */
export async function tryLock(file: string, flags: string): Promise<FileHandle | null> {
  try {
    const handle = await open(file, flags);
    try {
      if (await isLocked(handle)) return handle;
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
    await handle.close();
    return null;
  } catch (cause) {
    throw new HyperError('INTERNAL', `locking ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** flock(1): its exit code with --nonblock. */
const takenByAnother = 1;

/** flock(1) locks our open file description, which it shares with us, and exits. */
async function isLocked(handle: FileHandle): Promise<boolean> {
  const flock = spawnProcess('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', handle.fd],
  });
  const [code] = (await once(flock, 'close')) as [number | null];
  if (code === 0) return true;
  if (code === takenByAnother) return false;
  throw new Error(`flock ended with exit code ${String(code)}`);
}
