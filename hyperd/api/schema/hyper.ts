import Type, { type Static } from 'typebox';

/** A running VM, as `GET /hyper/vms` lists it. */
export const VmSummary = Type.Object({
  ContainerId: Type.String(),
  ContainerName: Type.String(),
  Image: Type.String(),
  Hypervisor: Type.String(),
  Pid: Type.Integer(),
  MemoryMiB: Type.Integer(),
  Vcpus: Type.Integer(),
  KernelRelease: Type.String(),
  /** Milliseconds of the last start, by phase. */
  Timeline: Type.Record(Type.String(), Type.Number()),
});
export type VmSummary = Static<typeof VmSummary>;

/** `GET /hyper/vms/{id}/console`: the last lines that the guest kernel printed. */
export const ConsoleTail = Type.Object({ Text: Type.String() });
export type ConsoleTail = Static<typeof ConsoleTail>;

/** `GET /hyper/containers/{id}/timeline`: phases of the last start; empty when no VM runs. */
export const StartTimeline = Type.Object({ Timeline: Type.Record(Type.String(), Type.Number()) });
export type StartTimeline = Static<typeof StartTimeline>;

/** `GET /hyper/version`. */
export const HyperVersion = Type.Object({
  Version: Type.String(),
  ApiVersion: Type.String(),
  Hypervisor: Type.String(),
  HypervisorVersion: Type.String(),
  HardwareAccelerated: Type.Boolean(),
  HyperKernel: Type.String(),
  NodeVersion: Type.String(),
});
export type HyperVersion = Static<typeof HyperVersion>;
