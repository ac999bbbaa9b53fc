import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

import type { JsonFileOptions } from './json-file-options.ts';

/**
 * The files of one json-file log: `path`, and the older `path.1` … `path.N` (or `.gz`), newest
 * first. One writer, in this process; readers keep the file that they have open through a rotation.
 */
export class LogFiles {
  readonly path: string;
  readonly #options: JsonFileOptions;
  #handle: FileHandle;
  #sizeBytes: number;
  #generation = 0;

  private constructor(
    path: string,
    options: JsonFileOptions,
    handle: FileHandle,
    sizeBytes: number,
  ) {
    this.path = path;
    this.#options = options;
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
  }

  static async open(path: string, options: JsonFileOptions): Promise<LogFiles> {
    const handle = await open(path, 'a', 0o640);
    const { size } = await handle.stat();
    return new LogFiles(path, options, handle, size);
  }

  /** Grows by one with each rotation: a reader at the end of an older file goes on with the next. */
  get generation(): number {
    return this.#generation;
  }

  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    const { maxSizeBytes } = this.#options;
    if (
      maxSizeBytes !== null &&
      this.#sizeBytes > 0 &&
      this.#sizeBytes + bytes.length > maxSizeBytes
    ) {
      await this.#rotate();
    }
    await this.#handle.appendFile(bytes);
    this.#sizeBytes += bytes.length;
  }

  /** Existing files, oldest first; the last one is the current. */
  async list(): Promise<readonly string[]> {
    const older: string[] = [];
    for (let index = this.#options.maxFiles - 1; index >= 1; index--) {
      for (const candidate of [
        `${this.path}.${String(index)}.gz`,
        `${this.path}.${String(index)}`,
      ]) {
        if (await exists(candidate)) older.push(candidate);
      }
    }
    return [...older, this.path];
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async remove(): Promise<void> {
    for (const file of await this.list()) await rm(file, { force: true });
  }

  async #rotate(): Promise<void> {
    await this.#handle.close();
    const { maxFiles, compress } = this.#options;
    if (maxFiles === 1) {
      await rm(this.path);
    } else {
      const oldest = `${this.path}.${String(maxFiles - 1)}`;
      await rm(oldest, { force: true });
      await rm(`${oldest}.gz`, { force: true });
      for (let index = maxFiles - 2; index >= 1; index--) {
        await this.#shift(index, '');
        await this.#shift(index, '.gz');
      }
      await rename(this.path, `${this.path}.1`);
      if (compress) await compressFile(`${this.path}.1`);
    }
    this.#handle = await open(this.path, 'a', 0o640);
    this.#sizeBytes = 0;
    this.#generation += 1;
  }

  async #shift(index: number, suffix: string): Promise<void> {
    const from = `${this.path}.${String(index)}${suffix}`;
    if (await exists(from)) await rename(from, `${this.path}.${String(index + 1)}${suffix}`);
  }
}

async function compressFile(path: string): Promise<void> {
  await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz.tmp`));
  await rename(`${path}.gz.tmp`, `${path}.gz`);
  await rm(path);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
