import Type, { type Static } from 'typebox';

import { querySchema } from './query.ts';

/** Where a VM came from: it waited in the pool, was cloned of a template, or booted. */
const Origin = Type.Union([Type.Literal('pool'), Type.Literal('template'), Type.Literal('boot')]);

/**
 * Milliseconds that each phase of a start took. Every phase begins where the one before it ends, so that
 * their sum is the whole start: `lost` (VMs that failed before this one), `pool` (a waiting VM is taken),
 * `prepare` (run directory, network and disks on the host), `spawn` (QEMU has a process) or `fork` (it is
 * the copy of another one), `monitor` (it can be told what to do), `restored` (the template's state is
 * loaded), `running` (its processors run),
 * `kernel` and `init` (those of a boot, by the guest's clock: up to the first process, and up to the agent's
 * channel), `agent` (what else passes up to the agent's answer), `network`, `mounts`, `process` (the
 * guest's own work for the container: `network` with all that a VM does once for its first one, `mounts`
 * as far as they take longer than that), `request` (what else the request to the guest takes). Absent:
 * this VM had no such phase. Where a clone gets its disks after it runs, `prepare` has that time, too.
 */
const Timeline = Type.Record(Type.String(), Type.Number());

/**
 * A VM, as `GET /hyper/vms` lists it. One that waits in the pool has no container, nor has one that is there
 * for others to be forked of (`parent`): '' there.
 */
export const VmSummary = Type.Object({
  State: Type.Union([
    Type.Literal('running'),
    Type.Literal('paused'),
    Type.Literal('waiting'),
    Type.Literal('parent'),
  ]),
  Origin,
  ContainerId: Type.String(),
  ContainerName: Type.String(),
  Image: Type.String(),
  Hypervisor: Type.String(),
  Pid: Type.Integer(),
  MemoryMiB: Type.Integer(),
  Vcpus: Type.Integer(),
  KernelRelease: Type.String(),
  /** Of the container's last start. */
  Timeline,
});
export type VmSummary = Static<typeof VmSummary>;

/** `GET /hyper/vms/{id}/console`: the last lines that the guest kernel printed. */
export const ConsoleTail = Type.Object({ Text: Type.String() });
export type ConsoleTail = Static<typeof ConsoleTail>;

/** `GET /hyper/containers/{id}/timeline`: the last start that succeeded, kept when the VM has ended. */
export const StartTimeline = Type.Object({ Origin, Timeline });
export type StartTimeline = Static<typeof StartTimeline>;

/**
 * The field `hyper` in what `GET /containers/{id}/stats` answers of a container that runs; the other
 * fields are Docker's, and tell of the guest.
 */
export const HostUse = Type.Object({
  /** Of the VM's process: its own memory, and its share of what VMs have in common. */
  host_memory_bytes: Type.Integer(),
});
export type HostUse = Static<typeof HostUse>;

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

/**
 * `POST /hyper/run` creates a container, attaches to it, starts it and waits for it, in one request that
 * asks for an upgrade as attach does. The body is that of `POST /containers/create`.
 *
 * What fails before the container runs is answered as create and start answer it; `Hyper-Container` then
 * names the container if there was one already (a failed start leaves it, unless it is to be removed when
 * it ends). Else the answer is 101 with `Hyper-Container`, and the connection has the container's stdin
 * one way (if it is open and to be attached; a half-close is its end) and Docker's frames the other,
 * also of a terminal: 1 stdout, 2 stderr, and `runEventStream` with one RunEvent each. The last frame is
 * a RunExit, or a RunDetach, then the connection ends. One that ends without was lost.
 */
export const RunQuery = querySchema('name', 'platform', 'detachKeys');

/** The number of the frames that tell of the run itself. Docker's own numbers end at 3. */
export const runEventStream = 4;

/** What create warns of. Comes first, if at all. */
export const RunWarnings = Type.Object({ Warnings: Type.Array(Type.String()) });

/** The container has ended; with AutoRemove it is removed, too. As `POST /containers/{id}/wait` answers. */
export const RunExit = Type.Object({
  StatusCode: Type.Integer(),
  Error: Type.Optional(Type.Object({ Message: Type.String() })),
});
export type RunExit = Static<typeof RunExit>;

/** The client let go (by its detach keys, or by closing its side of a terminal); the container runs on. */
export const RunDetach = Type.Object({ Detached: Type.Literal(true) });

export const RunEvent = Type.Union([RunWarnings, RunExit, RunDetach]);
export type RunEvent = Static<typeof RunEvent>;
