import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import { HyperError, messageOf } from '../base/error.ts';
import { Mutex } from '../base/mutex.ts';
import {
  packSparseFile,
  readSparseArchive,
  type SparseFile,
  writeSparseFile,
} from '../base/sparse-file.ts';
import { run } from '../base/subprocess.ts';

/** So many sizes are in memory; the rest are read again when they are asked for. */
const maxInMemory = 8;

/**
 * Empty ext4 disks, one per size, formatted once: a container's writable disk begins with the same bytes,
 * a few hundred kilobytes in a file that is else a hole. They are marked as zeroed, so that no guest
 * kernel fills them in the background.
 */
export class DiskTemplates {
  readonly #directory: string;
  readonly #ready = new Map<number, Promise<SparseFile>>();
  /** One at a time: two of a size would format the same file. */
  readonly #preparing = new Mutex();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Removes what a daemon that was killed has left half-made. */
  static async open(directory: string): Promise<DiskTemplates> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) {
      if (!name.endsWith('.tar')) await rm(path.join(directory, name));
    }
    return new DiskTemplates(directory);
  }

  /** Makes an empty disk at a path where nothing is. */
  async clone(sizeBytes: number, target: string): Promise<void> {
    try {
      await writeSparseFile(await this.#find(sizeBytes), target);
    } catch (cause) {
      this.#ready.delete(sizeBytes);
      throw new HyperError('INTERNAL', `making the writable disk ${target}: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  #find(sizeBytes: number): Promise<SparseFile> {
    const known = this.#ready.get(sizeBytes);
    if (known !== undefined) return known;
    const template = this.#preparing.run(() => this.#prepare(sizeBytes));
    const [oldest] = this.#ready.keys();
    if (oldest !== undefined && this.#ready.size >= maxInMemory) this.#ready.delete(oldest);
    this.#ready.set(sizeBytes, template);
    return template;
  }

  async #prepare(sizeBytes: number): Promise<SparseFile> {
    const archive = path.join(this.#directory, `ext4-${String(sizeBytes)}.tar`);
    // One that is damaged, as after a power failure, is made anew like one that is not there.
    const kept = await readSparseArchive(archive).catch(() => null);
    if (kept !== null) return kept;
    await this.#format(sizeBytes, archive);
    return readSparseArchive(archive);
  }

  async #format(sizeBytes: number, archive: string): Promise<void> {
    const disk = `${archive}.raw`;
    const unfinished = `${archive}.new`;
    try {
      const handle = await open(disk, 'w', 0o600);
      try {
        await handle.truncate(sizeBytes);
      } finally {
        await handle.close();
      }
      await run('mkfs.ext4', [
        ...['-q', '-F', '-m', '0', '-J', 'size=8', '-O', '^resize_inode'],
        ...['-E', 'lazy_itable_init=0,lazy_journal_init=1,root_owner=0:0', disk],
      ]);
      await packSparseFile(disk, unfinished);
      await rename(unfinished, archive);
    } finally {
      await rm(unfinished, { force: true });
      await rm(disk, { force: true });
    }
  }
}
