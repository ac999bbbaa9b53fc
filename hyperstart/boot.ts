import { cgroupRoot, containersCgroup, enableControllers } from './cgroup.ts';
import { ensureDirectory } from './files.ts';
import { MountFlag } from './mount-flags.ts';
import { bringLoopbackUp } from './network.ts';
import { during, isErrno, messageOf } from './request-error.ts';
import type { MountOptions, Sys } from './sys/sys.ts';

const { noSuid, noExec, noDev } = MountFlag;
const hardened = noSuid | noExec | noDev;

/** The VM's own filesystems, in order: source (and type), target, flags, data. */
const filesystems: readonly (readonly [string, string, number, string])[] = [
  ['proc', '/proc', hardened, ''],
  ['sysfs', '/sys', hardened, ''],
  ['devtmpfs', '/dev', noSuid | noExec, 'mode=0755'],
  ['devpts', '/dev/pts', noSuid | noExec, 'ptmxmode=0666,mode=0620,gid=5'],
  ['tmpfs', '/run', noSuid | noDev, 'mode=0755'],
  ['cgroup2', cgroupRoot, hardened, 'nsdelegate,memory_recursiveprot'],
];

/** Settings of the VM's kernel; Docker gives the two of the network to every container. */
const settings: readonly (readonly [string, string])[] = [
  ['vm/max_map_count', '262144'],
  ['fs/inotify/max_user_instances', '1024'],
  ['fs/inotify/max_user_watches', '524288'],
  ['net/ipv4/ip_unprivileged_port_start', '0'],
  ['net/ipv4/ping_group_range', '0 2147483647'],
];

/**
 * What wakes an idle kernel, made rare: every tick of every idle VM is the host's to pay, and a hundred of
 * them share it. The counters of /proc/vmstat lag by some hundred pages for it.
 */
const quietSettings: readonly (readonly [string, string])[] = [
  ['vm/compaction_proactiveness', '0'],
  ['vm/stat_interval', '120'],
  ['vm/percpu_pagelist_high_fraction', '512'],
  ['net/ipv4/neigh/default/interval_probe_time_ms', '86400000'],
  ['net/ipv6/neigh/default/interval_probe_time_ms', '86400000'],
];

/** Milliseconds since the kernel started at the end of each boot phase. */
export type BootTimeline = Record<string, number>;

/** A boot phase failed: the message names it and the cause. */
export class BootError extends Error {
  constructor(phase: string, cause: unknown) {
    super(`boot phase "${phase}" failed: ${messageOf(cause)}`, { cause });
    this.name = 'BootError';
  }
}

/** Milliseconds with one decimal. */
export function toTenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

/** Runs a boot phase and notes when it ended. */
export function bootPhase<T>(sys: Sys, timeline: BootTimeline, phase: string, run: () => T): T {
  try {
    const result = run();
    timeline[phase] = toTenths(sys.uptimeMs());
    return result;
  } catch (error) {
    throw new BootError(phase, error);
  }
}

/** Makes a bare kernel a place for the agent: mounts the VM's own filesystems. */
export function bootGuest(sys: Sys, timeline: BootTimeline): void {
  bootPhase(sys, timeline, 'mounts', () => {
    sys.leaveFirstRoot();
    for (const [type, target, flags, data] of filesystems) {
      ensureDirectory(sys, target);
      mountOnce(sys, { source: type, target, type, flags, data });
    }
  });
}

/** Makes it a place for containers: cgroups, settings, loopback. */
export function prepareForContainers(sys: Sys): void {
  during('preparing the VM for containers', () => {
    enableControllers(sys, cgroupRoot);
    ensureDirectory(sys, containersCgroup);
    enableControllers(sys, containersCgroup);
    for (const [name, value] of [...settings, ...quietSettings]) applySetting(sys, name, value);
    bringLoopbackUp(sys);
  });
}

/** A kernel may have mounted devtmpfs by itself. */
function mountOnce(sys: Sys, options: MountOptions): void {
  try {
    sys.mount(options);
  } catch (error) {
    if (!isErrno(error, 'EBUSY')) throw error;
  }
}

function applySetting(sys: Sys, name: string, value: string): void {
  try {
    sys.writeFile(`/proc/sys/${name}`, value);
  } catch (error) {
    // These are comforts: a kernel without the feature runs containers too.
    if (!isErrno(error, 'ENOENT', 'EINVAL')) throw error;
  }
}
