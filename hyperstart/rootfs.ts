import type { DiskMounts } from './disk-mounts.ts';
import { ensureDirectory } from './files.ts';
import { during, RequestError } from './request-error.ts';
import type { RootfsConfig } from './protocol/message.ts';
import type { Sys } from './sys/sys.ts';
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

/** Mounts the layers and the writable disk and joins them by overlayfs at `target`. */
export function mountRootfs(
  options: RootfsOptions,
  config: RootfsConfig,
  target: string,
  undo: Undo,
): void {
  const { sys, layers, disks, devices } = options;
  const acquire = (mounts: DiskMounts, serial: string): string => {
    const path = mounts.acquire(serial, devices.get(serial) ?? '');
    undo.add(`unmounting disk ${serial}`, () => {
      mounts.release(serial);
    });
    return path;
  };
  const lowerPaths = config.layers.map((serial) => acquire(layers, serial));
  const disk = acquire(disks, config.writableDisk);
  for (const name of ['upper', 'work']) ensureDirectory(sys, `${disk}/${name}`);
  ensureDirectory(sys, target);
  const data = overlayData(lowerPaths, disk);
  if (data.length >= maxMountDataBytes) {
    throw new RequestError('UNSUPPORTED', `${String(lowerPaths.length)} layers are too many`);
  }
  during(`joining ${String(lowerPaths.length)} layers by overlayfs`, () => {
    sys.mount({ source: 'overlay', target, type: 'overlay', flags: 0, data });
  });
  undo.add(`unmounting ${target}`, () => {
    sys.unmount(target, true);
  });
}

/**
 * overlayfs wants the topmost layer first; we get them from the lowest upwards. With xino one container
 * is one device to stat(2), whatever layer a file is in: `du -x` and `tar --one-file-system` rely on it.
 */
export function overlayData(lowerPaths: readonly string[], disk: string): string {
  const lower = lowerPaths.toReversed().join(':');
  return `lowerdir=${lower},upperdir=${disk}/upper,workdir=${disk}/work,xino=on`;
}
