import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { HyperError } from './base/error.ts';
import { tryLock } from './base/file-lock.ts';

/** Takes a data root for this process alone. CONFLICT names the process that has it. */
export async function lockDataRoot(dataRoot: string): Promise<AsyncDisposable> {
  const file = path.join(dataRoot, 'hyperd.lock');
  const handle = await tryLock(file, 'a+');
  if (handle === null) {
    const owner = (await readFile(file, 'utf8')).trim();
    throw new HyperError('CONFLICT', `${dataRoot} is in use by another hyperd (pid ${owner})`, {
      hint: 'stop it, or give this one a --data-root and --exec-root of its own',
    });
  }
  await using undo = new AsyncDisposableStack();
  undo.use(handle);
  await handle.truncate();
  await handle.write(`${String(process.pid)}\n`);
  return undo.move();
}
