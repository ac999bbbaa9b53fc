import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

import { HyperError } from '../../base/error.ts';
import type { SharedMemory } from '../../base/shared-memory.ts';

const memoryBytes = 4 * 1024 * 1024;
/** What the kernel calls the file that QEMU makes for a memory-backend-memfd. */
const fileName = '/memfd:memory-backend-memfd (deleted)';

/**
 * Arguments for memory that the guest finds at a fixed place on its PCI bus. For emulated processors only,
 * which gain most: what goes through a port interrupts them every 4 KiB. With KVM such memory would be
 * uncached for the guest on some processors, and slower than the port.
 *
 * QEMU restores no device whose memory is a shared file, so a VM that is saved or restored has the device,
 * and nobody to share with. A fork of one gets a shared file instead (vm-fork/memory.c).
 */
export function sharedMemoryArguments({ isShared }: { isShared: boolean }): readonly string[] {
  const share = isShared ? 'on' : 'off';
  return [
    '-object',
    `memory-backend-memfd,id=streams,size=${String(memoryBytes)},share=${share}`,
    ...['-device', 'ivshmem-plain,memdev=streams,master=on,addr=0x1e.0'],
  ];
}

/** By the file that the VM's process has mapped. */
export class QemuSharedMemory implements SharedMemory, Disposable {
  readonly bytes = memoryBytes;
  /** null once the VM has ended: its number may be another file's by then. */
  #file: number | null;

  private constructor(file: number) {
    this.#file = file;
  }

  /** null: the process shares no such memory. */
  static open(pid: number): QemuSharedMemory | null {
    const maps = readFileSync(`/proc/${String(pid)}/maps`, 'utf8');
    const isShared = maps
      .split('\n')
      .some((line) => / rw-s /.test(line) && line.endsWith(fileName));
    return isShared ? this.#openFile(`/proc/${String(pid)}/fd`) : null;
  }

  static #openFile(directory: string): QemuSharedMemory | null {
    for (const name of readdirSync(directory)) {
      const entry = path.join(directory, name);
      if (linkOf(entry) !== fileName) continue;
      const file = openSync(entry, 'r+');
      const status = fstatSync(file);
      if (status.isFile() && status.size === memoryBytes) return new QemuSharedMemory(file);
      closeSync(file);
    }
    return null;
  }

  read(offset: number, length: number): Buffer {
    if (this.#file === null) throw new HyperError('UNAVAILABLE', 'the VM has ended');
    const buffer = Buffer.allocUnsafe(length);
    const count = readSync(this.#file, buffer, 0, length, offset);
    if (count === length) return buffer;
    throw new HyperError('UNAVAILABLE', 'the VM has cut its shared memory short');
  }

  write(offset: number, bytes: Uint8Array): void {
    // Of a VM that has ended nobody reads it.
    if (this.#file !== null) writeSync(this.#file, bytes, 0, bytes.length, offset);
  }

  [Symbol.dispose](): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}

/** A descriptor may be closed before it was looked at. */
function linkOf(entry: string): string {
  try {
    return readlinkSync(entry);
  } catch {
    return '';
  }
}
