import type { Mutex } from '../base/mutex.ts';
import type { HypervisorDriver } from '../hypervisor/driver.ts';
import type { ImageStore } from '../image/image-store.ts';
import type { ContainerLog, ContainerLogConfig } from '../log/container-log.ts';
import type { NetworkManager } from '../network/network-manager.ts';
import type { ConnectAgent } from './agent-connection.ts';
import type { ContainerTable } from './container-table.ts';
import type { EventHub } from './container-service.ts';
import type { DiskTemplates } from './disk-templates.ts';
import type { ExecTable } from './exec-table.ts';
import type { PodPaths } from './paths.ts';
import type { PodStore } from './pod-store.ts';
import type { HostCapacity } from './spec/resources.ts';
import type { WarmVms } from './warm/warm-vms.ts';

/** The daemon's own log, as far as pods write to it. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How long things may take before they count as failed. */
export interface Deadlines {
  /** A start's wait for a VM that is being made for the pool. */
  readonly claimMs: number;
  /** From the VM's first instruction to the agent's hello. */
  readonly agentMs: number;
  /** The same for a clone, whose kernel is up. */
  readonly cloneMs: number;
  /** The agent's `start` request. */
  readonly startMs: number;
  /** Any other request. */
  readonly requestMs: number;
  /** The guest's clean shutdown. */
  readonly shutdownMs: number;
  /** From SIGKILL to the end of the container, before its VM is ended. */
  readonly killMs: number;
  /** From the end of a process to the end of its output. */
  readonly drainMs: number;
}

/** What the parts of `pod/` share. */
export interface PodContext {
  readonly driver: HypervisorDriver;
  readonly connectAgent: ConnectAgent;
  readonly images: ImageStore;
  readonly network: NetworkManager | null;
  readonly openLog: (config: ContainerLogConfig) => Promise<ContainerLog>;
  readonly kernelPath: string;
  readonly initrdPath: string;
  /** Name servers that the daemon's configuration gives to containers without their own. */
  readonly dns: readonly string[];
  readonly logger: Logger;
  readonly paths: PodPaths;
  readonly store: PodStore;
  readonly templates: DiskTemplates;
  readonly events: EventHub;
  readonly table: ContainerTable;
  readonly execs: ExecTable;
  readonly capacity: HostCapacity;
  readonly deadlines: Deadlines;
  /** VMs that need no boot; null: there are none. Set once, when the daemon has taken up its records. */
  warm: WarmVms | null;
  /** Removals that go on though their containers are gone for their users. */
  readonly leaving: Set<Promise<void>>;
  /** Serialises creates and renames: names are unique. */
  readonly names: Mutex;
  /** Aborts when the daemon lets go. */
  readonly closing: AbortSignal;
}
