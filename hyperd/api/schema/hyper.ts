import Type, { type Static } from 'typebox';

/** Where a VM came from: it waited in the pool, was cloned of a template, or booted. */
const Origin = Type.Union([Type.Literal('pool'), Type.Literal('template'), Type.Literal('boot')]);

/** A VM, as `GET /hyper/vms` lists it. One that waits in the pool has no container: '' there. */
export const VmSummary = Type.Object({
  State: Type.Union([Type.Literal('running'), Type.Literal('paused'), Type.Literal('waiting')]),
  Origin,
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
  /** VMs are clones of templates; false: every one is booted. */
  Templates: Type.Boolean(),
  /** How many VMs are to wait for a container. */
  PoolSize: Type.Integer(),
});
export type HyperVersion = Static<typeof HyperVersion>;
