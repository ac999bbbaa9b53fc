import { constants, copyFile, rm } from 'node:fs/promises';

import { isErrno } from './error.ts';
import { run } from './subprocess.ts';

/**
 * Copies a sparse file to a new path without filling its holes: shares its blocks where the
 * filesystem can, else copies only the data. On failure nothing is left behind.
 */
export async function cloneSparseFile(source: string, target: string): Promise<void> {
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return;
  } catch (thrown) {
    if (isErrno(thrown, 'EEXIST') || isErrno(thrown, 'ENOENT')) throw thrown;
    // The filesystem has no shared blocks, or source and target are on two of them.
    await rm(target, { force: true });
  }
  try {
    await run('cp', ['--sparse=always', '--no-clobber', '--', source, target]);
  } catch (thrown) {
    await rm(target, { force: true });
    throw thrown;
  }
}
