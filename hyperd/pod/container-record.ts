import type { StdioStreams } from '../../hyperstart/protocol/message.ts';
import type { VmRecord } from '../hypervisor/driver.ts';
import type { LayerFile } from '../image/image-store.ts';
import type { EndpointRecord } from '../network/network-manager.ts';
import type { ContainerStatus, LastStart } from './container-service.ts';
import type { ContainerExit } from './container-state.ts';
import type { ContainerConfig, HostConfig } from './docker-config.ts';
import type { MachineSize } from './spec/resources.ts';
import type { VmOrigin } from './warm/warm-vms.ts';

/** What is kept of a container on disk. */
export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  readonly createdUnixMs: number;
  readonly imageId: string;
  readonly imageName: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly effectiveConfig: ContainerConfig;
  /** Lowest first; leased, so they outlive the image. */
  readonly layers: readonly LayerFile[];
  readonly restartCount: number;
  /** Stopped by a person: `unless-stopped` then leaves it so. */
  readonly stoppedByHand: boolean;
  /** Absent: it was never started. */
  readonly lastStart?: LastStart;
  readonly state: StateRecord;
}

export interface StateRecord {
  readonly status: ContainerStatus;
  /** Of the last life that ended. */
  readonly exit: ContainerExit;
  /** Of the present life, when one is going on. */
  readonly startedUnixMs: number | null;
}

/** What is kept of a pod while its VM runs, so that the next daemon takes it over. */
export interface PodRecord {
  readonly id: string;
  readonly vm: VmRecord;
  readonly endpoint: EndpointRecord | null;
  readonly size: MachineSize;
  readonly origin: VmOrigin;
  readonly kernelRelease: string;
  /** Of the container's first process; null until it was started. */
  readonly streams: StdioStreams | null;
}
