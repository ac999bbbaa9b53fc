import { entriesOf, kernelFile } from './files.ts';
import type { Resources } from './protocol/message.ts';
import { isErrno, RequestError } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

export const cgroupRoot = '/sys/fs/cgroup';
/** Parent of all containers' groups. */
export const containersCgroup = `${cgroupRoot}/containers`;

const wantedControllers = ['cpu', 'memory', 'io', 'pids', 'cpuset', 'hugetlb'];

/** Lets the children of a group be limited by every controller that the kernel has. */
export function enableControllers(sys: Sys, directory: string): void {
  const available = (kernelFile(sys, `${directory}/cgroup.controllers`) ?? '').split(' ');
  const words = wantedControllers.filter((name) => available.includes(name));
  if (words.length === 0) return;
  const text = words.map((name) => `+${name}`).join(' ');
  sys.writeFile(`${directory}/cgroup.subtree_control`, text);
}

/** The cgroup v2 files that express the limits, with their values, in the order of writing. */
export function limitFiles(resources: Resources): readonly (readonly [string, string])[] {
  const files: (readonly [string, string])[] = [];
  const add = (file: string, value: string | number | null): void => {
    if (value !== null) files.push([file, String(value)]);
  };
  add('memory.oom.group', 0);
  add('memory.max', resources.memoryBytes);
  add('memory.swap.max', swapBytes(resources));
  add('memory.low', resources.memoryReservationBytes);
  if (resources.cpuQuotaMicros !== null) {
    add('cpu.max', `${String(resources.cpuQuotaMicros)} ${String(resources.cpuPeriodMicros)}`);
  }
  add('cpu.weight', resources.cpuWeight);
  add('cpuset.cpus', resources.cpusetCpus);
  add('cpuset.mems', resources.cpusetMems);
  add('pids.max', resources.pidsLimit);
  return files;
}

function swapBytes({ memoryBytes, memorySwapBytes }: Resources): number | null {
  if (memorySwapBytes === null) return null;
  if (memoryBytes === null || memorySwapBytes < memoryBytes) {
    throw new RequestError(
      'INVALID_ARGUMENT',
      'the limit of memory plus swap needs a memory limit that is not larger',
    );
  }
  return memorySwapBytes - memoryBytes;
}

/** The cgroup of one container. */
export class ContainerCgroup {
  readonly path: string;
  readonly #sys: Sys;

  private constructor(sys: Sys, path: string) {
    this.#sys = sys;
    this.path = path;
  }

  /** Makes the group with its limits; nothing is left behind when one is refused. */
  static create(sys: Sys, containerId: string, resources: Resources): ContainerCgroup {
    const limits = limitFiles(resources);
    const group = new ContainerCgroup(sys, `${containersCgroup}/${containerId}`);
    sys.makeDirectory(group.path, 0o755);
    try {
      for (const [file, value] of limits) group.#limit(file, value);
    } catch (error) {
      sys.removeDirectory(group.path);
      throw error;
    }
    return group;
  }

  #limit(file: string, value: string): void {
    try {
      this.#sys.writeFile(`${this.path}/${file}`, value);
    } catch (error) {
      // A kernel without swap has no such file, and no swap to limit.
      if (file === 'memory.swap.max' && isErrno(error, 'ENOENT')) return;
      if (isErrno(error, 'ENOENT')) {
        throw new RequestError('UNSUPPORTED', `the guest kernel cannot limit ${file}`);
      }
      if (isErrno(error, 'EINVAL', 'ERANGE', 'ENODEV')) {
        throw new RequestError('INVALID_ARGUMENT', `invalid value "${value}" for ${file}`);
      }
      throw error;
    }
  }

  read(file: string): string | null {
    return kernelFile(this.#sys, `${this.path}/${file}`);
  }

  /** The numbers of a file with `name value` lines; empty when the kernel has no such file. */
  readTable(file: string): ReadonlyMap<string, number> {
    return new Map(
      (this.read(file) ?? '').split('\n').map((line) => {
        const [name = '', value = ''] = line.split(' ');
        return [name, Number(value)] as const;
      }),
    );
  }

  /** How many processes the kernel has killed here for want of memory. */
  oomKills(): number {
    return this.readTable('memory.events').get('oom_kill') ?? 0;
  }

  isFrozen(): boolean {
    return this.readTable('cgroup.events').get('frozen') === 1;
  }

  setFrozen(frozen: boolean): void {
    this.#sys.writeFile(`${this.path}/cgroup.freeze`, frozen ? '1' : '0');
  }

  /** Ids of all processes here and below. */
  processIds(): readonly number[] {
    return this.#subtree().flatMap((directory) =>
      (kernelFile(this.#sys, `${directory}/cgroup.procs`) ?? '')
        .split('\n')
        .filter((line) => line !== '')
        .map(Number),
    );
  }

  kill(): void {
    this.#sys.writeFile(`${this.path}/cgroup.kill`, '1');
  }

  /** Removes the group and those that the container made below it. */
  remove(): void {
    for (const directory of this.#subtree().reverse()) this.#sys.removeDirectory(directory);
  }

  /** This group and all below it, parents first. */
  #subtree(): string[] {
    const found = [this.path];
    for (const directory of found) {
      for (const name of entriesOf(this.#sys, directory)) {
        const path = `${directory}/${name}`;
        // Groups are the only entries that have processes of their own.
        if (this.#sys.fileStatus(`${path}/cgroup.procs`) !== null) found.push(path);
      }
    }
    return found;
  }
}

/**
 * The group that a further process of a container has to join: that of its first process, which
 * may have moved to a group below the container's (as Docker within a container does).
 */
export function cgroupOfProcess(sys: Sys, group: ContainerCgroup, pid: number): string {
  const line = (kernelFile(sys, `/proc/${String(pid)}/cgroup`) ?? '')
    .split('\n')
    .find((text) => text.startsWith('0::'));
  const path = `${cgroupRoot}${line?.slice(3) ?? ''}`;
  return path.startsWith(`${group.path}/`) ? path : group.path;
}
