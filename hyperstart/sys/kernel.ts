import { errnoName, errnoText } from './errno.ts';
import type { Native, SystemCallArgument } from './native.ts';
import { SysError } from './sys.ts';
import { type SystemCallName, systemCalls } from './system-calls.ts';

/** System calls whose failure is an exception; `operation` says what was being done, to what. */
export class Kernel {
  readonly native: Native;

  constructor(native: Native) {
    this.native = native;
  }

  call(operation: string, name: SystemCallName, ...args: readonly SystemCallArgument[]): number {
    return this.check(operation, this.native.call(systemCalls[name], ...args));
  }

  /** A system call that may fail: its result, or -errno. */
  try(name: SystemCallName, ...args: readonly SystemCallArgument[]): number {
    return this.native.call(systemCalls[name], ...args);
  }

  /** Passes a result on; throws SysError when it is a negative error number. */
  check(operation: string, result: number): number {
    if (result < 0) {
      throw this.error(operation, -result);
    }
    return result;
  }

  error(operation: string, errno: number): SysError {
    return new SysError(operation, errnoName(errno), errnoText(errno));
  }

  close(fd: number): void {
    this.try('close', fd);
  }

  /** 0 when the whole text is written as UTF-8, else -errno. */
  writeText(fd: number, text: string): number {
    const bytes = this.native.encodeText(text);
    const start = this.native.addressOf(bytes);
    let done = 0;
    let written: number;
    do {
      written = this.try('write', fd, start + done, bytes.byteLength - done);
      done += written;
    } while (written > 0 && done < bytes.byteLength);
    return Math.min(written, 0);
  }
}

/** A zeroed buffer filled by `fill`; all fields in it are little endian. */
export function struct(bytes: number, fill: (view: DataView) => void): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes);
  fill(new DataView(buffer));
  return buffer;
}

/** A 64-bit field out of a number, without BigInt; -1 is all ones. */
export function setUint64(view: DataView, offset: number, value: number): void {
  const negative = value < 0;
  view.setUint32(offset, value % 0x100000000, true);
  view.setUint32(offset + 4, negative ? 0xffffffff : Math.floor(value / 0x100000000), true);
}

/** A 64-bit field that is known to fit in 53 bits. */
export function getUint64(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x100000000 + view.getUint32(offset, true);
}
