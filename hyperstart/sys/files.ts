import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  MNT_DETACH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_IN_ROOT,
} from './constants.ts';
import { ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR } from './errno.ts';
import { getUint64, type Kernel, setUint64, struct } from './kernel.ts';
import type { FileStatus, MountOptions, OpenedPath } from './sys.ts';

const defaultReadLimit = 1024 * 1024;
const directoryBufferBytes = 8192;
const EFBIG = 27;
/** Errors that mean that a path does not lead to anything. */
const absent = [ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG];

/** The file part of Sys. */
export class Files {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  readFile(path: string, maxBytes = defaultReadLimit): string {
    const { buffer, length } = this.readBytes(path, maxBytes);
    return this.#kernel.native.decodeText(buffer, 0, length);
  }

  /** The whole file, in a buffer that may be longer. */
  readBytes(
    path: string,
    maxBytes: number,
  ): { readonly buffer: ArrayBuffer; readonly length: number } {
    const operation = `read ${path}`;
    const fd = this.#open(operation, path, O_RDONLY);
    try {
      return this.#readAll(operation, fd, maxBytes);
    } finally {
      this.#kernel.close(fd);
    }
  }

  writeFile(path: string, text: string, mode?: number): void {
    const operation = `write ${path}`;
    const flags = O_WRONLY | O_TRUNC | (mode === undefined ? 0 : O_CREAT);
    const fd = this.#open(operation, path, flags, mode);
    try {
      this.#kernel.check(operation, this.#kernel.writeText(fd, text));
    } finally {
      this.#kernel.close(fd);
    }
  }

  readDirectory(path: string): readonly string[] {
    const operation = `list ${path}`;
    const fd = this.#open(operation, path, O_RDONLY | O_DIRECTORY);
    try {
      const buffer = new ArrayBuffer(directoryBufferBytes);
      const names: string[] = [];
      for (;;) {
        const length = this.#kernel.call(operation, 'getdents64', fd, buffer, directoryBufferBytes);
        if (length === 0) {
          return names;
        }
        this.#appendNames(buffer, length, names);
      }
    } finally {
      this.#kernel.close(fd);
    }
  }

  makeDirectory(path: string, mode: number): void {
    this.#kernel.call(`make directory ${path}`, 'mkdirat', AT_FDCWD, path, mode);
  }

  removeDirectory(path: string): void {
    this.#kernel.call(`remove directory ${path}`, 'unlinkat', AT_FDCWD, path, AT_REMOVEDIR);
  }

  removeFile(path: string): void {
    this.#kernel.call(`remove ${path}`, 'unlinkat', AT_FDCWD, path, 0);
  }

  symbolicLink(target: string, path: string): void {
    this.#kernel.call(`link ${path}`, 'symlinkat', target, AT_FDCWD, path);
  }

  makeNode(path: string, mode: number, major: number, minor: number): void {
    // The kernel's own encoding of dev_t: 8 minor bits, 12 major bits, then the rest of the minor.
    const encoded = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
    this.#kernel.call(`make node ${path}`, 'mknodat', AT_FDCWD, path, mode, encoded);
  }

  changeOwner(path: string, uid: number, gid: number): void {
    this.#kernel.call(`chown ${path}`, 'fchownat', AT_FDCWD, path, uid, gid, 0);
  }

  changeMode(path: string, mode: number): void {
    this.#kernel.call(`chmod ${path}`, 'fchmodat', AT_FDCWD, path, mode);
  }

  fileStatus(path: string): FileStatus | null {
    return this.#status(path, AT_SYMLINK_NOFOLLOW);
  }

  targetStatus(path: string): FileStatus | null {
    return this.#status(path, 0);
  }

  #status(path: string, flags: number): FileStatus | null {
    const buffer = new ArrayBuffer(256);
    const basicStats = 0x7ff;
    const result = this.#kernel.try('statx', AT_FDCWD, path, flags, basicStats, buffer);
    if (result === -ENOENT || result === -ENOTDIR) return null;
    this.#kernel.check(`stat ${path}`, result);
    const view = new DataView(buffer);
    return {
      mode: view.getUint16(28, true),
      uid: view.getUint32(20, true),
      gid: view.getUint32(24, true),
      size: getUint64(view, 40),
      major: view.getUint32(128, true),
      minor: view.getUint32(132, true),
    };
  }

  mount(options: MountOptions): void {
    const { source, target, type, flags, data } = options;
    const operation = `mount ${target}`;
    this.#kernel.call(operation, 'mount', source, target, type, flags, data === '' ? null : data);
  }

  unmount(target: string, lazy: boolean): void {
    this.#kernel.call(`unmount ${target}`, 'umount2', target, lazy ? MNT_DETACH : 0);
  }

  findInRoot(root: string, path: string): OpenedPath | null {
    return this.#within(root, (rootFd) => {
      const fd = this.#tryBelow(rootFd, path, O_PATH);
      if (absent.includes(-fd)) return null;
      return openedAt(this.#kernel.check(`open ${path} in the root`, fd));
    });
  }

  makeInRoot(root: string, path: string): OpenedPath {
    return this.#within(root, (rootFd) => openedAt(this.#makeBelow(rootFd, path)));
  }

  #within<T>(root: string, action: (rootFd: number) => T): T {
    const rootFd = this.#open(`open ${root}`, root, O_PATH | O_DIRECTORY);
    try {
      return action(rootFd);
    } finally {
      this.#kernel.close(rootFd);
    }
  }

  closePath(path: OpenedPath): void {
    this.#kernel.close(path.fd);
  }

  #open(operation: string, path: string, flags: number, mode = 0): number {
    return this.#kernel.call(operation, 'openat', AT_FDCWD, path, flags | O_CLOEXEC, mode);
  }

  #readAll(
    operation: string,
    fd: number,
    maxBytes: number,
  ): { readonly buffer: ArrayBuffer; readonly length: number } {
    const { native } = this.#kernel;
    let buffer = new ArrayBuffer(Math.min(4096, maxBytes + 1));
    let length = 0;
    for (;;) {
      const room = buffer.byteLength - length;
      const got = this.#kernel.call(operation, 'read', fd, native.addressOf(buffer) + length, room);
      length += got;
      if (length > maxBytes) {
        throw this.#kernel.error(operation, EFBIG);
      }
      if (got === 0) {
        return { buffer, length };
      }
      if (length === buffer.byteLength) {
        const larger = new ArrayBuffer(Math.min(length * 4, maxBytes + 1));
        new Uint8Array(larger).set(new Uint8Array(buffer));
        buffer = larger;
      }
    }
  }

  #appendNames(buffer: ArrayBuffer, length: number, names: string[]): void {
    const view = new DataView(buffer);
    const bytes = new Uint8Array(buffer);
    for (let offset = 0; offset < length; offset += view.getUint16(offset + 16, true)) {
      const start = offset + 19;
      const name = this.#kernel.native.decodeText(buffer, start, bytes.indexOf(0, start) - start);
      if (name !== '.' && name !== '..') {
        names.push(name);
      }
    }
  }

  /** The descriptor, or -errno. */
  #tryBelow(rootFd: number, path: string, flags: number): number {
    const how = struct(24, (view) => {
      setUint64(view, 0, flags | O_CLOEXEC);
      setUint64(view, 16, RESOLVE_IN_ROOT);
    });
    return this.#kernel.try('openat2', rootFd, path, how, 24);
  }

  #openBelow(rootFd: number, path: string): number {
    const fd = this.#tryBelow(rootFd, path, O_PATH | O_DIRECTORY);
    return this.#kernel.check(`open ${path} in the root`, fd);
  }

  /** Walks down, making what is missing; every step is resolved from the root again, so no link escapes. */
  #makeBelow(rootFd: number, path: string): number {
    const words = path.split('/').filter((word) => word !== '');
    let current = this.#openBelow(rootFd, '/');
    let walked = '';
    for (const word of words) {
      const parent = current;
      walked += `/${word}`;
      try {
        current = this.#openOrMake(rootFd, walked, { parent, word });
      } finally {
        this.#kernel.close(parent);
      }
    }
    return current;
  }

  #openOrMake(
    rootFd: number,
    walked: string,
    { parent, word }: { readonly parent: number; readonly word: string },
  ): number {
    const fd = this.#tryBelow(rootFd, walked, O_PATH | O_DIRECTORY);
    if (fd !== -ENOENT) return this.#kernel.check(`open ${walked} in the root`, fd);
    this.#kernel.call(`create ${walked}`, 'mkdirat', parent, word, 0o755);
    return this.#openBelow(rootFd, walked);
  }
}

function openedAt(fd: number): OpenedPath {
  return { fd, path: `/proc/self/fd/${String(fd)}` };
}
