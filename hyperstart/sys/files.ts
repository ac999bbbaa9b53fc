import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  MNT_DETACH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_IN_ROOT,
} from './constants.ts';
import { getUint64, type Kernel, setUint64, struct } from './kernel.ts';
import { type FileStatus, type MountOptions, type OpenedPath, SysError } from './sys.ts';

const defaultReadLimit = 1024 * 1024;
const directoryBufferBytes = 8192;
const EFBIG = 27;

/** The file part of Sys. */
export class Files {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  readFile(path: string, maxBytes = defaultReadLimit): string {
    const operation = `read ${path}`;
    const fd = this.#open(operation, path, O_RDONLY);
    try {
      return this.#readText(operation, fd, maxBytes);
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
    try {
      this.#kernel.call(`stat ${path}`, 'statx', AT_FDCWD, path, flags, basicStats, buffer);
    } catch (error) {
      if (error instanceof SysError && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR')) {
        return null;
      }
      throw error;
    }
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

  openInRoot(root: string, path: string, create: 'none' | 'directory' | 'file'): OpenedPath {
    const rootFd = this.#open(`open ${root}`, root, O_PATH | O_DIRECTORY);
    try {
      const fd =
        create === 'none'
          ? this.#openBelow(rootFd, path, O_PATH)
          : this.#openOrCreate(rootFd, path, create);
      return { fd, path: `/proc/self/fd/${String(fd)}` };
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

  #readText(operation: string, fd: number, maxBytes: number): string {
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
        return native.decodeText(buffer, 0, length);
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

  #openBelow(rootFd: number, path: string, flags: number): number {
    const how = struct(24, (view) => {
      setUint64(view, 0, flags | O_CLOEXEC);
      setUint64(view, 16, RESOLVE_IN_ROOT);
    });
    return this.#kernel.call(`open ${path} in the root`, 'openat2', rootFd, path, how, 24);
  }

  /** Walks down, making what is missing; every step is resolved from the root again, so no link escapes. */
  #openOrCreate(rootFd: number, path: string, create: 'directory' | 'file'): number {
    const words = path.split('/').filter((word) => word !== '');
    let current = this.#openBelow(rootFd, '/', O_PATH);
    let walked = '';
    for (const [index, word] of words.entries()) {
      const parent = current;
      walked += `/${word}`;
      try {
        const isFile = create === 'file' && index === words.length - 1;
        current = this.#openOrCreateStep(rootFd, walked, { parent, word, isFile });
      } finally {
        this.#kernel.close(parent);
      }
    }
    return current;
  }

  #openOrCreateStep(
    rootFd: number,
    walked: string,
    step: { parent: number; word: string; isFile: boolean },
  ): number {
    const flags = step.isFile ? O_PATH : O_PATH | O_DIRECTORY;
    try {
      return this.#openBelow(rootFd, walked, flags);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'ENOENT') {
        throw error;
      }
    }
    const { parent, word } = step;
    if (step.isFile) {
      const createFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
      this.#kernel.close(
        this.#kernel.call(`create ${walked}`, 'openat', parent, word, createFlags, 0o644),
      );
    } else {
      this.#kernel.call(`create ${walked}`, 'mkdirat', parent, word, 0o755);
    }
    return this.#openBelow(rootFd, walked, flags);
  }
}
