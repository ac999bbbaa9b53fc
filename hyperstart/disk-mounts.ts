import { MountFlag } from './mount-flags.ts';
import { isErrno } from './request-error.ts';
import type { AsideStep, Sys } from './sys/sys.ts';

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
  readonly #data: string;
  readonly #mounts = new Map<string, DiskMount>();
  #next = 0;

  constructor(sys: Sys, kind: 'layers' | 'disks') {
    this.#sys = sys;
    this.#directory = `/run/${kind}`;
    this.#type = kind === 'layers' ? 'erofs' : 'ext4';
    this.#flags = kind === 'layers' ? MountFlag.readOnly | MountFlag.noDev : MountFlag.noDev;
    // Else a thread reads the bitmaps of all block groups, most of which nobody will ever need.
    this.#data = kind === 'layers' ? '' : 'no_prefetch_block_bitmaps';
  }

  /**
   * The directory where the disk is mounted, or will be once the `steps` are done that this adds to; each
   * call is paid back by one `release`, whatever became of them.
   */
  acquire(serial: string, device: string, steps: AsideStep[]): string {
    const present = this.#mounts.get(serial);
    if (present !== undefined) {
      present.users += 1;
      return present.path;
    }
    const path = `${this.#directory}/${String(this.#next)}`;
    this.#next += 1;
    const action = `mounting disk ${serial} (${device}, ${this.#type})`;
    for (const directory of [this.#directory, path])
      steps.push({ action, kind: 'directory', path: directory });
    const how = { type: this.#type, flags: this.#flags, data: this.#data };
    steps.push({ action, kind: 'mount', mount: { source: device, target: path, ...how } });
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
    this.#unmount(mount.path);
    removeIfThere(this.#sys, mount.path);
  }

  #unmount(path: string): void {
    try {
      this.#sys.unmount(path, false);
    } catch (error) {
      // It was never mounted: a step before that failed.
      if (isErrno(error, 'EINVAL', 'ENOENT')) return;
      if (!isErrno(error, 'EBUSY')) throw error;
      // Some process still holds a file: its data is safe on the disk, the rest follows when it ends.
      this.#sys.sync();
      this.#sys.unmount(path, true);
    }
  }
}

function removeIfThere(sys: Sys, path: string): void {
  try {
    sys.removeDirectory(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
