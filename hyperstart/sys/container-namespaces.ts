import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDWR,
  S_IFDIR,
  S_IFMT,
  TIOCGPTN,
} from './constants.ts';
import type { Files } from './files.ts';
import type { Kernel } from './kernel.ts';
import { type MountOptions, type NewNamespaces, type OpenedPath, SysError } from './sys.ts';

const remountable = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

/** Makes the inside of a container: runs in the child, whose namespaces are new. */
export class ContainerNamespaces {
  readonly #kernel: Kernel;
  readonly #files: Files;
  readonly #options: NewNamespaces;

  constructor(kernel: Kernel, files: Files, options: NewNamespaces) {
    this.#kernel = kernel;
    this.#files = files;
    this.#options = options;
  }

  enter(): void {
    const { hostname, domainname, cgroupNamespace } = this.#options;
    // clone3 would take our parent's cgroup as the root; unsharing takes the one we are in.
    if (cgroupNamespace) this.#kernel.call('unshare cgroups', 'unshare', CLONE_NEWCGROUP);
    this.#kernel.call('make mounts private', 'mount', null, '/', null, MS_REC | MS_PRIVATE, null);
    this.#kernel.call('set the hostname', 'sethostname', hostname, hostname.length);
    this.#kernel.call('set the domainname', 'setdomainname', domainname, domainname.length);
  }

  mountAll(): void {
    for (const mount of this.#options.mounts) this.#mount(mount);
  }

  /** Opens a device node inside the root. */
  openDevice(path: string): number {
    return this.#within(path, 'none', (opened) => {
      const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
      return this.#kernel.call(`open ${path}`, 'openat', AT_FDCWD, opened.path, flags, 0);
    });
  }

  /** Lets /dev/console be the container's terminal. */
  bindConsole(master: number): void {
    const number = new ArrayBuffer(4);
    this.#kernel.call('number of the terminal', 'ioctl', master, TIOCGPTN, number);
    const name = `/dev/pts/${String(new DataView(number).getUint32(0, true))}`;
    this.#within(name, 'none', (source) => {
      this.#within('/dev/console', 'file', (target) => {
        this.#bind(source.path, target.path);
      });
    });
  }

  applySysctls(): void {
    for (const [name, value] of this.#options.sysctls) {
      this.#files.writeFile(`/proc/sys/${name.split('.').join('/')}`, value);
    }
  }

  protectPaths(): void {
    for (const path of this.#options.maskedPaths) this.#mask(path);
    for (const path of this.#options.readonlyPaths) this.#makeReadOnly(path);
  }

  /** The prepared root becomes /; the VM's root is gone from here. */
  pivot(): void {
    this.#kernel.call('enter the root', 'chdir', this.#options.root);
    this.#kernel.call('pivot_root', 'pivot_root', '.', '.');
    this.#kernel.call('leave the old root', 'umount2', '.', MNT_DETACH);
    this.#kernel.call('enter the new root', 'chdir', '/');
    if (!this.#options.readOnlyRoot) return;
    const flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
    this.#kernel.call('make the root read-only', 'mount', null, '/', null, flags, null);
  }

  #mount(mount: MountOptions): void {
    const isBind = (mount.flags & MS_BIND) !== 0;
    const isFile = isBind && !this.#isDirectory(mount.source);
    this.#within(mount.target, isFile ? 'file' : 'directory', (target) => {
      if (isBind) this.#bind(mount.source, target.path);
      else this.#files.mount({ ...mount, target: target.path });
    });
    const extra = mount.flags & remountable;
    if (!isBind || extra === 0) return;
    // Opened anew: now the path leads to what was just mounted.
    this.#within(mount.target, 'none', (target) => {
      this.#remount(target.path, extra);
    });
  }

  #mask(path: string): void {
    this.#ifThere(path, (target) => {
      if (this.#isDirectory(target.path)) {
        const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
        this.#files.mount({
          source: 'tmpfs',
          target: target.path,
          type: 'tmpfs',
          flags,
          data: 'size=0k',
        });
      } else {
        this.#bind('/dev/null', target.path);
      }
    });
  }

  #makeReadOnly(path: string): void {
    this.#ifThere(path, (target) => {
      const flags = MS_BIND | MS_REC;
      this.#kernel.call(`bind ${path}`, 'mount', target.path, target.path, null, flags, null);
      // Opened anew: the path now leads to the bind mount.
      this.#within(path, 'none', (bound) => {
        this.#remount(bound.path, remountable);
      });
    });
  }

  #bind(source: string, target: string): void {
    this.#kernel.call(`bind ${source}`, 'mount', source, target, null, MS_BIND, null);
  }

  #remount(target: string, flags: number): void {
    const all = MS_REMOUNT | MS_BIND | flags;
    this.#kernel.call('remount', 'mount', null, target, null, all, null);
  }

  #isDirectory(path: string): boolean {
    const status = this.#files.targetStatus(path);
    return status !== null && (status.mode & S_IFMT) === S_IFDIR;
  }

  #ifThere(path: string, action: (opened: OpenedPath) => void): void {
    try {
      this.#within(path, 'none', action);
    } catch (error) {
      const isMissing = error instanceof SysError && ['ENOENT', 'ENOTDIR'].includes(error.errno);
      if (!isMissing) throw error;
    }
  }

  #within<T>(
    path: string,
    create: 'none' | 'directory' | 'file',
    action: (opened: OpenedPath) => T,
  ): T {
    const opened = this.#files.openInRoot(this.#options.root, path, create);
    try {
      return action(opened);
    } finally {
      this.#files.closePath(opened);
    }
  }
}
