import type { LayerFile } from '../image/image-store.ts';
import type { PhaseClock } from './phase-clock.ts';
import type { ContainerSpec } from './spec/container-spec.ts';

/** What a pod needs of a VM. */
export interface VmRequest {
  readonly podId: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly layers: readonly LayerFile[];
  readonly spec: ContainerSpec;
  /** Is told the phases of the start. */
  readonly clock: PhaseClock;
}
