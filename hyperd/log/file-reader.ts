import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

const blockBytes = 64 * 1024;
const newline = 0x0a;

/** Yields the lines of a finished (rotated) log file, plain or gzip. */
export async function* readWholeFile(path: string): AsyncGenerator<string> {
  await using file = await open(path, 'r');
  const raw = createReadStream(path, { fd: file, autoClose: false });
  const text = path.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  yield* createInterface({ input: text, crlfDelay: Infinity });
}

/** Reads the complete lines of a file that still grows; each call goes on where the last one ended. */
export class GrowingFileReader implements AsyncDisposable {
  readonly #file: FileHandle;
  #position: number;
  #partial: Buffer = Buffer.alloc(0);

  private constructor(file: FileHandle, position: number) {
    this.#file = file;
    this.#position = position;
  }

  static async open(path: string, position = 0): Promise<GrowingFileReader> {
    return new GrowingFileReader(await open(path, 'r'), position);
  }

  async *readToEnd(): AsyncGenerator<string> {
    for (;;) {
      const block = Buffer.allocUnsafe(blockBytes);
      const { bytesRead } = await this.#file.read(block, 0, blockBytes, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      let rest = Buffer.concat([this.#partial, block.subarray(0, bytesRead)]);
      let end = rest.indexOf(newline);
      while (end >= 0) {
        const line = rest.toString('utf8', 0, end);
        rest = rest.subarray(end + 1);
        end = rest.indexOf(newline);
        this.#partial = rest;
        yield line;
      }
      this.#partial = rest;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

/** Offset at which the last `lines` lines of a file start, and how many there really are. */
export async function findTail(
  path: string,
  lines: number,
): Promise<{ offset: number; found: number }> {
  await using file = await open(path, 'r');
  let position = (await file.stat()).size;
  let found = 0;
  let isAtLastByte = true;
  const block = Buffer.allocUnsafe(blockBytes);
  while (position > 0) {
    const start = Math.max(0, position - blockBytes);
    const { bytesRead } = await file.read(block, 0, position - start, start);
    for (let index = bytesRead - 1; index >= 0; index--) {
      // The newline that ends the last line starts no further one.
      if (block[index] === newline && !isAtLastByte) {
        found += 1;
        if (found === lines) return { offset: start + index + 1, found };
      }
      isAtLastByte = false;
    }
    position = start;
  }
  return { offset: 0, found: isAtLastByte ? 0 : found + 1 };
}
