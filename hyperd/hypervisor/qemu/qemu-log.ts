import { open, stat, truncate } from 'node:fs/promises';
import path from 'node:path';

const tailBytes = 2000;
/** A guest can make QEMU complain as often as it likes; the file may be in the host's memory. */
const maxBytes = 256 * 1024;
const checkMs = 10_000;

/** What QEMU itself writes about a VM. */
export function qemuLogPath(runDirectory: string): string {
  return path.join(runDirectory, 'qemu.log');
}

/** The last lines that QEMU itself wrote about a VM; '' when there are none. */
export async function readQemuLog(runDirectory: string): Promise<string> {
  try {
    await using file = await open(qemuLogPath(runDirectory));
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    await file.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8').trim();
  } catch {
    return '';
  }
}

/** Begins the log anew whenever it has grown large; QEMU appends, so it goes on at the new end. */
export function capQemuLog(runDirectory: string, everyMs = checkMs): Disposable {
  const file = qemuLogPath(runDirectory);
  const timer = setInterval(() => {
    void truncateIfLarge(file);
  }, everyMs).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}

async function truncateIfLarge(file: string): Promise<void> {
  try {
    if ((await stat(file)).size > maxBytes) await truncate(file);
  } catch {
    // The VM has ended and its directory is gone.
  }
}
