import { mkdir } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';

import { openAgentClient } from '../agent/agent-client.ts';
import { Mutex } from '../base/mutex.ts';
import type { ConnectAgent } from './agent-connection.ts';
import { ContainerTable } from './container-table.ts';
import type { ContainerService } from './container-service.ts';
import type { Deadlines, PodContext } from './context.ts';
import { DiskTemplates } from './disk-templates.ts';
import { RecentEvents } from './event-hub.ts';
import { ExecTable } from './exec-table.ts';
import { IdleTrim, type IdleTrimOptions } from './idle-trim.ts';
import { PodPaths } from './paths.ts';
import { PodStore } from './pod-store.ts';
import { recover } from './recovery.ts';
import { Containers } from './service.ts';
import type { HostCapacity } from './spec/resources.ts';
import { type WarmConfig, WarmVms } from './warm/warm-vms.ts';
import { mebibyte } from './spec/sizes.ts';

/** What containers stand on; everything else is made here. */
export interface ContainerServiceDependencies extends Pick<
  PodContext,
  'driver' | 'images' | 'network' | 'openLog' | 'kernelPath' | 'initrdPath' | 'dns' | 'logger'
> {
  /** What must outlive a reboot: records, disks, logs. */
  readonly dataRoot: string;
  /** Sockets of the running VMs. */
  readonly execRoot: string;
  /** Default: the real one. */
  readonly connectAgent?: ConnectAgent;
  readonly deadlines?: Partial<Deadlines>;
  /** Default: no VM is asked for memory that it does not need. */
  readonly trim?: IdleTrimOptions;
  /** Default: every VM is booted. */
  readonly warm?: WarmConfig;
  readonly capacity?: HostCapacity;
}

/** Emulation is ten times slower. */
const waits = {
  accelerated: { agentMs: 20_000, cloneMs: 5000 },
  emulated: { agentMs: 60_000, cloneMs: 15_000 },
};

/**
 * Opens the containers of a data root and takes up what the former daemon left running. Dispose lets
 * go of everything without stopping a VM.
 */
export async function openContainerService(
  dependencies: ContainerServiceDependencies,
): Promise<ContainerService & AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const { dataRoot, execRoot, driver } = dependencies;
  const paths = new PodPaths(dataRoot, execRoot);
  await mkdir(paths.containers, { recursive: true, mode: 0o700 });
  await mkdir(paths.runs, { recursive: true, mode: 0o700 });
  const store = undo.use(new PodStore(paths.database));
  const closing = new AbortController();
  const context: PodContext = {
    ...dependencies,
    connectAgent: dependencies.connectAgent ?? openAgentClient,
    paths,
    store,
    templates: await DiskTemplates.open(paths.diskTemplates),
    events: new RecentEvents(),
    table: new ContainerTable(),
    execs: new ExecTable(),
    capacity: dependencies.capacity ?? {
      cpus: availableParallelism(),
      memoryMiB: Math.floor(totalmem() / mebibyte),
    },
    deadlines: {
      claimMs: 3000,
      ...(driver.features.hardwareAccelerated ? waits.accelerated : waits.emulated),
      startMs: 60_000,
      requestMs: 10_000,
      shutdownMs: 10_000,
      killMs: 10_000,
      drainMs: 10_000,
      ...dependencies.deadlines,
    },
    warm: null,
    leaving: new Set(),
    names: new Mutex(),
    closing: closing.signal,
  };
  const containers = new Containers(context);
  undo.defer(async () => {
    closing.abort(new Error('hyperd lets go'));
    await containers.letGo();
  });
  await recover(context);
  if (dependencies.trim !== undefined) undo.use(new IdleTrim(context, dependencies.trim));
  if (dependencies.warm !== undefined) {
    context.warm = await WarmVms.open(context, dependencies.warm);
    undo.use(context.warm);
    // Before them: what is being made or started for them is given up, not waited for.
    undo.defer(() => {
      closing.abort(new Error('hyperd lets go'));
    });
  }
  const resources = undo.move();
  return Object.assign(containers, {
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  });
}
