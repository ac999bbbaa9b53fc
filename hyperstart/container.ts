import type { Cancellation } from './cancellation.ts';
import { ContainerCgroup } from './cgroup.ts';
import { prepareMounts } from './container-mounts.ts';
import { deviceProgram } from './device-program.ts';
import type { DiskMounts } from './disk-mounts.ts';
import type { DiskFinder } from './disk.ts';
import { isDirectory } from './file-mode.ts';
import { ensureDirectory, entriesOf } from './files.ts';
import { makeDirectoryInRoot } from './image-file.ts';
import type { ProcessPlan } from './process-plan.ts';
import { planProcess, spawnPlanned } from './process-plan.ts';
import type { ContainerProcess, ProcessTable } from './process-table.ts';
import type { ContainerConfig } from './protocol/message.ts';
import { during, RequestError } from './request-error.ts';
import { mountRootfs } from './rootfs.ts';
import { type MountOptions, type Sys, SysError } from './sys/sys.ts';
import { Undo } from './undo.ts';

const containersDirectory = '/run/containers';

/** What starting a container needs from the rest of the agent. */
export interface ContainerContext {
  readonly sys: Sys;
  readonly disks: DiskFinder;
  readonly layerMounts: DiskMounts;
  readonly diskMounts: DiskMounts;
  readonly processes: ProcessTable;
}

/** A container with its first process; `undo` gives back all that it holds once that has ended. */
export interface Container {
  readonly id: string;
  readonly cgroup: ContainerCgroup;
  readonly process: ContainerProcess;
  readonly undo: Undo;
  /** Kills for want of memory that were told already. */
  oomKillsTold: number;
}

export interface StartOptions {
  readonly cancellation: Cancellation;
  /** What the start does besides while the disks are mounted. */
  readonly meanwhile: () => Promise<void>;
}

export interface StartedContainer {
  readonly container: Container;
  readonly mountsMs: number;
  readonly processMs: number;
}

/**
 * Mounts a container's filesystems and starts its first process. `meanwhile` is called when the mounts have
 * begun, and is over before the process starts. A failure leaves nothing behind.
 */
export async function startContainer(
  context: ContainerContext,
  config: ContainerConfig,
  { cancellation, meanwhile }: StartOptions,
): Promise<StartedContainer> {
  const { sys, processes } = context;
  assertValidId(config.id);
  if (config.rootfs.layers.length === 0) {
    throw new RequestError('INVALID_ARGUMENT', 'a rootfs needs at least one layer');
  }
  processes.assertStreamsFree(config.process.streams);
  const begunMs = sys.uptimeMs();
  const serials = [...new Set([...config.rootfs.layers, config.rootfs.writableDisk])];
  const others = new Meanwhile(sys, meanwhile);
  const devices = await findDisks(context, serials, { cancellation, others });
  const undo = new Undo();
  try {
    const paths = makeDirectories(sys, config.id, undo);
    const { layerMounts: layers, diskMounts: disks } = context;
    const finishRootfs = mountRootfs(
      { sys, layers, disks, devices },
      config.rootfs,
      paths.root,
      undo,
    );
    await others.run();
    const cgroup = makeCgroup(sys, config, undo);
    finishAside(finishRootfs);
    const mounts = during('preparing mounts', () => prepareMounts(sys, paths, config, undo));
    const mountedMs = sys.uptimeMs();
    makeDirectoryInRoot(sys, paths.root, config.process.cwd);
    const plan = planProcess(sys, paths.root, config.process);
    const process = spawnFirst(context, config, { plan, mounts, root: paths.root, cgroup });
    const endedMs = sys.uptimeMs();
    return {
      container: { id: config.id, cgroup, process, undo, oomKillsTold: 0 },
      mountsMs: mountedMs - begunMs - others.ms,
      processMs: endedMs - mountedMs,
    };
  } catch (error) {
    undo.run((line) => {
      sys.log(`hyperstart: undoing the start of container ${config.id}: ${line}`);
    });
    throw error;
  }
}

/** What a start does besides while something slow goes on aside: once, and timed. */
class Meanwhile {
  readonly #sys: Sys;
  readonly #action: () => Promise<void>;
  #isDone = false;
  ms = 0;

  constructor(sys: Sys, action: () => Promise<void>) {
    this.#sys = sys;
    this.#action = action;
  }

  async run(): Promise<void> {
    if (this.#isDone) return;
    this.#isDone = true;
    const begunMs = this.#sys.uptimeMs();
    await this.#action();
    this.ms = this.#sys.uptimeMs() - begunMs;
  }
}

/** Device path by serial. Disks that are parked get their driver back meanwhile. */
async function findDisks(
  { disks }: ContainerContext,
  serials: readonly string[],
  { cancellation, others }: { readonly cancellation: Cancellation; readonly others: Meanwhile },
): Promise<ReadonlyMap<string, string>> {
  const finish = disks.unpark(serials);
  if (finish !== null) {
    try {
      await others.run();
    } finally {
      finishAside(finish);
    }
  }
  const devices = await disks.waitFor(serials, cancellation);
  cancellation.throwIfCancelled();
  return devices;
}

function makeCgroup(sys: Sys, config: ContainerConfig, undo: Undo): ContainerCgroup {
  const cgroup = during('making the cgroup', () =>
    ContainerCgroup.create(sys, config.id, config.resources),
  );
  undo.add('removing the cgroup', () => {
    cgroup.remove();
  });
  during('limiting devices', () => {
    sys.limitDevices(cgroup.path, deviceProgram(config.deviceRules));
  });
  return cgroup;
}

/** The error of a step says what was being done. */
function finishAside(finish: () => void): void {
  try {
    finish();
  } catch (error) {
    if (error instanceof SysError) throw new RequestError('INTERNAL', error.message);
    throw error;
  }
}

interface FirstProcess {
  readonly plan: ProcessPlan;
  readonly mounts: readonly MountOptions[];
  readonly root: string;
  readonly cgroup: ContainerCgroup;
}

function spawnFirst(
  { sys, processes }: ContainerContext,
  config: ContainerConfig,
  { plan, mounts, root, cgroup }: FirstProcess,
): ContainerProcess {
  const spawned = spawnPlanned(sys, {
    ...plan,
    cgroup: cgroup.path,
    init: config.init,
    namespaces: {
      kind: 'new',
      hostname: config.hostname,
      domainname: config.domainname,
      cgroupNamespace: config.privateCgroupNamespace,
      root,
      readOnlyRoot: config.rootfs.readOnly,
      mounts,
      maskedPaths: config.maskedPaths,
      readonlyPaths: config.readonlyPaths,
      sysctls: Object.entries(config.sysctls),
    },
  });
  return processes.add({ containerId: config.id, execId: null }, config.process.streams, spawned);
}

/** Ids name directories and cgroups: nothing that could lead elsewhere is one. */
function assertValidId(id: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(id)) {
    throw new RequestError('INVALID_ARGUMENT', `invalid container id ${JSON.stringify(id)}`);
  }
}

function makeDirectories(
  sys: Sys,
  id: string,
  undo: Undo,
): { readonly directory: string; readonly root: string } {
  ensureDirectory(sys, containersDirectory, 0o700);
  const directory = `${containersDirectory}/${id}`;
  sys.makeDirectory(directory, 0o700);
  undo.add(`removing ${directory}`, () => {
    for (const name of entriesOf(sys, directory)) {
      const path = `${directory}/${name}`;
      const status = sys.fileStatus(path);
      if (status !== null && isDirectory(status)) sys.removeDirectory(path);
      else sys.removeFile(path);
    }
    sys.removeDirectory(directory);
  });
  return { directory, root: `${directory}/rootfs` };
}
