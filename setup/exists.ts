import { stat } from 'node:fs/promises';

import { isErrno } from '../hyperd/base/error.ts';

/** True when there is a file or folder of that name. */
export async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
