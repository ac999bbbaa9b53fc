import {
  AT_FDCWD,
  AT_REMOVEDIR,
  CLOCK_BOOTTIME,
  CLOCK_REALTIME,
  MS_BIND,
  MS_MOVE,
  O_CLOEXEC,
  O_RDWR,
  RNDADDENTROPY,
  RNDRESEEDCRNG,
} from './constants.ts';
import { EINVAL } from './errno.ts';
import { getUint64, type Kernel, setUint64, struct } from './kernel.ts';
import type { MemorySize } from './sys.ts';
import { decodeBase64 } from './text.ts';

const consoleFd = 2;
const utsFieldBytes = 65;

/** The part of Sys that concerns the VM as a whole: clock, entropy, names, end. */
export class Machine {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  leaveFirstRoot(): void {
    const call = this.#kernel.call.bind(this.#kernel, 'leave the first root');
    call('mkdirat', AT_FDCWD, '/.root', 0o700);
    call('mount', '/', '/.root', null, MS_BIND, null);
    call('chdir', '/.root');
    call('mount', '.', '/', null, MS_MOVE, null);
    call('chroot', '.');
    call('chdir', '/');
    call('unlinkat', AT_FDCWD, '/.root', AT_REMOVEDIR);
  }

  uptimeMs(): number {
    const time = new ArrayBuffer(16);
    this.#kernel.call('read the clock', 'clock_gettime', CLOCK_BOOTTIME, time);
    const view = new DataView(time);
    return getUint64(view, 0) * 1000 + getUint64(view, 8) / 1e6;
  }

  setClock(unixMs: number): void {
    const time = timespec(unixMs);
    this.#kernel.call('set the clock', 'clock_settime', CLOCK_REALTIME, time);
  }

  addEntropy(base64: string): void {
    const bytes = decodeBase64(base64);
    if (bytes === null) {
      throw this.#kernel.error('add entropy', EINVAL);
    }
    const length = bytes.byteLength;
    const pool = struct(8 + length, (view) => {
      view.setInt32(0, length * 8, true);
      view.setInt32(4, length, true);
    });
    new Uint8Array(pool).set(new Uint8Array(bytes), 8);
    const flags = O_RDWR | O_CLOEXEC;
    const fd = this.#kernel.call('open /dev/urandom', 'openat', AT_FDCWD, '/dev/urandom', flags, 0);
    try {
      this.#kernel.call('add entropy', 'ioctl', fd, RNDADDENTROPY, pool);
      // A clone of a template must not draw from the template's generator until the next reseeding.
      this.#kernel.call('reseed the random generator', 'ioctl', fd, RNDRESEEDCRNG, 0);
    } finally {
      this.#kernel.close(fd);
    }
  }

  kernelRelease(): string {
    const names = new ArrayBuffer(6 * utsFieldBytes);
    this.#kernel.call('read the kernel name', 'uname', names);
    const start = 2 * utsFieldBytes;
    const end = new Uint8Array(names).indexOf(0, start);
    return this.#kernel.native.decodeText(names, start, end - start);
  }

  memory(): MemorySize {
    const info = new ArrayBuffer(112);
    this.#kernel.call('read the memory size', 'sysinfo', info);
    const view = new DataView(info);
    // struct sysinfo: uptime, three loads, then sizes in units of mem_unit, which is 1 on 64 bits.
    const kib = (offset: number): number => getUint64(view, offset) / 1024;
    return { totalKiB: kib(32), freeKiB: kib(40) };
  }

  setHostname(name: string): void {
    const text = this.#kernel.native.encodeText(name);
    this.#kernel.call('set the hostname', 'sethostname', text, text.byteLength);
  }

  setDomainname(name: string): void {
    const text = this.#kernel.native.encodeText(name);
    this.#kernel.call('set the domainname', 'setdomainname', text, text.byteLength);
  }

  sync(): void {
    this.#kernel.call('sync', 'sync');
  }

  powerOff(): never {
    return this.#kernel.native.powerOff();
  }

  log(line: string): void {
    this.#kernel.writeText(consoleFd, `${line}\n`);
  }
}

/** A struct timespec of so many milliseconds. */
export function timespec(milliseconds: number): ArrayBuffer {
  return struct(16, (view) => {
    setUint64(view, 0, Math.floor(milliseconds / 1000));
    setUint64(view, 8, Math.round((milliseconds % 1000) * 1e6));
  });
}
