import { ensureDirectory } from './files.ts';
import { MountFlag } from './mount-flags.ts';
import { during, isErrno } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

interface DiskMount {
  readonly path: string;
  users: number;
}

/**
 * Mounts of whole disks, one per serial, shared by reference count. They get numbers for names: the
 * options of an overlay of 127 layers have to fit the one page that mount(2) takes.
 */
export class DiskMounts {
  readonly #sys: Sys;
  readonly #directory: string;
  readonly #type: string;
  readonly #flags: number;
  readonly #mounts = new Map<string, DiskMount>();
  #next = 0;

  constructor(sys: Sys, kind: 'layers' | 'disks') {
    this.#sys = sys;
    this.#directory = `/run/${kind}`;
    this.#type = kind === 'layers' ? 'erofs' : 'ext4';
    this.#flags = kind === 'layers' ? MountFlag.readOnly | MountFlag.noDev : MountFlag.noDev;
  }

  /** Returns the directory where the disk is mounted; each call is paid back by one `release`. */
  acquire(serial: string, device: string): string {
    const present = this.#mounts.get(serial);
    if (present !== undefined) {
      present.users += 1;
      return present.path;
    }
    ensureDirectory(this.#sys, this.#directory);
    const path = `${this.#directory}/${String(this.#next)}`;
    this.#next += 1;
    this.#sys.makeDirectory(path, 0o755);
    try {
      during(`mounting disk ${serial} (${device}, ${this.#type})`, () => {
        this.#sys.mount({
          source: device,
          target: path,
          type: this.#type,
          flags: this.#flags,
          data: '',
        });
      });
    } catch (error) {
      this.#sys.removeDirectory(path);
      throw error;
    }
    this.#mounts.set(serial, { path, users: 1 });
    return path;
  }

  /** Unmounts the disk when this was its last user. */
  release(serial: string): void {
    const mount = this.#mounts.get(serial);
    if (mount === undefined) return;
    mount.users -= 1;
    if (mount.users > 0) return;
    this.#mounts.delete(serial);
    try {
      this.#sys.unmount(mount.path, false);
    } catch (error) {
      if (!isErrno(error, 'EBUSY')) throw error;
      // Some process still holds a file: its data is safe on the disk, the rest follows when it ends.
      this.#sys.sync();
      this.#sys.unmount(mount.path, true);
    }
    this.#sys.removeDirectory(mount.path);
  }
}
