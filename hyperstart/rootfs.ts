import type { DiskMounts } from './disk-mounts.ts';
import { isErrno, RequestError } from './request-error.ts';
import type { RootfsConfig } from './protocol/message.ts';
import type { AsideStep, Sys } from './sys/sys.ts';
import type { Undo } from './undo.ts';

/** The kernel takes at most this many bytes of mount options, the closing NUL included. */
const maxMountDataBytes = 4096;

export interface RootfsOptions {
  readonly sys: Sys;
  readonly layers: DiskMounts;
  readonly disks: DiskMounts;
  /** Device path by serial, for all disks of the rootfs. */
  readonly devices: ReadonlyMap<string, string>;
}

/**
 * Begins to mount the layers and the writable disk, and to join them by overlayfs at `target`: the slowest
 * part of a start, with the caller doing something else meanwhile. What it returns waits for the end.
 */
export function mountRootfs(
  options: RootfsOptions,
  config: RootfsConfig,
  target: string,
  undo: Undo,
): () => void {
  const { sys, layers, disks, devices } = options;
  const steps: AsideStep[] = [];
  const acquire = (mounts: DiskMounts, serial: string): string => {
    const path = mounts.acquire(serial, devices.get(serial) ?? '', steps);
    undo.add(`unmounting disk ${serial}`, () => {
      mounts.release(serial);
    });
    return path;
  };
  const lowerPaths = config.layers.map((serial) => acquire(layers, serial));
  const disk = acquire(disks, config.writableDisk);
  const action = `joining ${String(lowerPaths.length)} layers by overlayfs`;
  for (const directory of [`${disk}/upper`, `${disk}/work`, target]) {
    steps.push({ action, kind: 'directory', path: directory });
  }
  const data = overlayData(lowerPaths, disk);
  if (data.length >= maxMountDataBytes) {
    throw new RequestError('UNSUPPORTED', `${String(lowerPaths.length)} layers are too many`);
  }
  const overlay = { source: 'overlay', target, type: 'overlay', flags: 0, data };
  steps.push({ action, kind: 'mount', mount: overlay });
  undo.add(`unmounting ${target}`, () => {
    unmountIfMounted(sys, target);
  });
  const finish = sys.aside(steps);
  undo.add(`awaiting the mounts of ${target}`, () => {
    try {
      finish();
    } catch {
      // Whoever asked for them knows.
    }
  });
  return finish;
}

function unmountIfMounted(sys: Sys, target: string): void {
  try {
    sys.unmount(target, true);
  } catch (error) {
    if (!isErrno(error, 'EINVAL', 'ENOENT')) throw error;
  }
}

/**
 * overlayfs wants the topmost layer first; we get them from the lowest upwards. With xino one container
 * is one device to stat(2), whatever layer a file is in: `du -x` and `tar --one-file-system` rely on it.
 */
export function overlayData(lowerPaths: readonly string[], disk: string): string {
  const lower = lowerPaths.toReversed().join(':');
  return `lowerdir=${lower},upperdir=${disk}/upper,workdir=${disk}/work,xino=on`;
}
