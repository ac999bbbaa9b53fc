import type { FileHandle } from 'node:fs/promises';

/** Writes all of it at that place in the file: a single write may be cut short, as on a disk that fills up. */
export async function writeAll(
  handle: FileHandle,
  bytes: Uint8Array,
  offset: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const left = bytes.length - done;
    done += (await handle.write(bytes, done, left, offset + done)).bytesWritten;
  }
}
