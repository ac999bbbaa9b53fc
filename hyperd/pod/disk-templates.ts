import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { HyperError, isErrno, messageOf } from '../base/error.ts';
import { cloneSparseFile } from '../base/sparse-file.ts';
import { run } from '../base/subprocess.ts';

/**
 * Empty ext4 disks, one per size, formatted once: a container's writable disk is a clone. They are
 * sparse, and marked as zeroed, so that no guest kernel fills them in the background.
 */
export class DiskTemplates {
  readonly #directory: string;
  readonly #ready = new Map<number, Promise<string>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes an empty disk at a path where nothing is. */
  async clone(sizeBytes: number, target: string): Promise<void> {
    const known = this.#ready.get(sizeBytes);
    const template = known ?? this.#prepare(sizeBytes);
    this.#ready.set(sizeBytes, template);
    try {
      await cloneSparseFile(await template, target);
    } catch (cause) {
      this.#ready.delete(sizeBytes);
      throw new HyperError('INTERNAL', `making the writable disk ${target}: ${messageOf(cause)}`, {
        cause,
      });
    }
    await chmod(target, 0o600);
  }

  async #prepare(sizeBytes: number): Promise<string> {
    const file = path.join(this.#directory, `ext4-${String(sizeBytes)}.raw`);
    if (await isThere(file)) return file;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const unfinished = `${file}.new`;
    try {
      const handle = await open(unfinished, 'w', 0o600);
      try {
        await handle.truncate(sizeBytes);
      } finally {
        await handle.close();
      }
      await run('mkfs.ext4', [
        ...['-q', '-F', '-m', '0', '-J', 'size=8', '-O', '^resize_inode'],
        ...['-E', 'lazy_itable_init=0,lazy_journal_init=1,root_owner=0:0', unfinished],
      ]);
      await rename(unfinished, file);
    } finally {
      await rm(unfinished, { force: true });
    }
    return file;
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (thrown) {
    if (isErrno(thrown, 'ENOENT')) return false;
    throw thrown;
  }
}
