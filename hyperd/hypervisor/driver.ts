import type { Duplex } from 'node:stream';

import type { SharedMemory } from '../base/shared-memory.ts';

/** The products that a driver can exist for. */
export type HypervisorName = 'qemu' | 'fake';

/** What a driver can do, as data: the core reads this and never asks for the driver's name. */
export interface VmFeatures {
  readonly channels: readonly ChannelName[];
  readonly hotplug: readonly Device['kind'][];
  readonly pause: boolean;
  /** True when guest code runs on the CPU, false when it is emulated. */
  readonly hardwareAccelerated: boolean;
}

/** `control`: the agent's byte stream. `console`: what the kernel prints (read only). */
export type ChannelName = 'control' | 'console';

export interface VmConfig {
  /** Pod id, 64 hex digits. */
  readonly id: string;
  /** Exists, mode 0700, belongs to this VM alone: sockets and the like go here. */
  readonly runDirectory: string;
  /** Uncompressed ELF with a PVH note. */
  readonly kernelPath: string;
  readonly initrdPath: string;
  /** Words added to the driver's own kernel command line. */
  readonly kernelArguments: readonly string[];
  readonly memoryMiB: number;
  readonly vcpus: number;
  /** Devices that are there from the first instruction on. */
  readonly devices: readonly Device[];
}

export type Device = Disk | Nic;

export interface Disk {
  readonly kind: 'disk';
  /** Also the serial by which the guest finds it: 1–20 characters of [a-zA-Z0-9_-]. */
  readonly id: string;
  /** A raw image file. */
  readonly path: string;
  readonly readOnly: boolean;
}

export interface Nic {
  readonly kind: 'nic';
  readonly id: string;
  /** An existing host TAP device, up and on its bridge. */
  readonly tapName: string;
  readonly macAddress: string;
}

export interface PluggedDevice {
  readonly id: string;
  /** The name by which the guest finds it: a disk's serial, a NIC's MAC address. */
  readonly guestName: string;
}

/** Size and devices of a VM that is started from a template. */
export interface TemplateShape {
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly hasNic: boolean;
}

/** Where the memory of a template and its clones is kept; see `memory-mounts.ts` for the filesystems. */
export interface TemplateFiles {
  /** Memory that all clones share, and the machine's state: a directory of this template alone. */
  readonly templateDirectory: string;
  /** For the memory that is a VM's own. Nothing stays there under a name. */
  readonly privateDirectory: string;
}

/** A VM that starts from, or becomes, a template: its disks come later, by `plug`. */
export interface TemplateVmConfig extends TemplateFiles {
  readonly id: string;
  readonly runDirectory: string;
  readonly shape: TemplateShape;
  /** Exactly when the shape has one. */
  readonly nic: Nic | null;
}

export interface TemplateConfig extends TemplateVmConfig {
  readonly kernelPath: string;
  readonly initrdPath: string;
}

/** A rare ability: VMs that begin as copies of one that was booted before. */
export interface TemplateAbility {
  /** All of product and host that a template depends on: it must not be used where this differs. */
  readonly key: string;
  /** How many disks of a kind can be plugged into a clone. */
  readonly diskSlots: { readonly readOnly: number; readonly writable: number };
  /** False where the shape has too little memory to share. */
  supports(shape: TemplateShape): boolean;
  /**
   * Boots a VM, lets `prepare` bring it to the point where clones shall begin, saves it into the
   * template directory and ends it. A failure leaves files there, and no process.
   */
  makeTemplate(
    config: TemplateConfig,
    prepare: (vm: Vm) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Starts a copy. Resolves when the guest CPU runs; on failure or abort nothing is left behind. */
  launchClone(config: TemplateVmConfig, signal: AbortSignal): Promise<Vm>;
  /** null where a VM cannot be copied while it is there. */
  readonly forks: ForkAbility | null;
}

/** What makes a fork another VM than its parent. */
export type ForkConfig = Pick<TemplateVmConfig, 'id' | 'runDirectory' | 'nic'>;

/**
 * A rarer ability: copies of a VM that is there, with all that its process has in memory. Emulation gains
 * most by it: the translated code of the guest is a part of that.
 */
export interface ForkAbility {
  /** Starts a clone of a template that can be forked. It has a NIC exactly when its forks shall have one. */
  launchParent(config: TemplateVmConfig, signal: AbortSignal): Promise<Vm>;
  /**
   * Copies a parent, which has to be paused and without a disk. Whoever is connected to its channels stays
   * so; the copy has channels of its own. Resolves when the copy's guest CPU runs; on failure or abort
   * nothing is left behind. The copy lives on when its parent ends.
   */
  fork(parent: Vm, config: ForkConfig, signal: AbortSignal): Promise<Vm>;
}

/** What is written to disk so that adopt() finds the VM again. */
export interface VmRecord {
  readonly hypervisor: HypervisorName;
  readonly id: string;
  readonly runDirectory: string;
  /** The VM's host process, with its start time (clock ticks since boot) against reused pids. */
  readonly pid: number;
  readonly startTicks: number;
}

export type VmExit =
  /** The guest powered off, or stop() ended it. */
  | { readonly reason: 'stopped' }
  /** The guest kernel panicked or reset the machine, or the hypervisor process died. */
  | { readonly reason: 'crashed'; readonly detail: string };

/** Opened by `open<Name>Driver(config)`, which rejects UNAVAILABLE with the reason. */
export interface HypervisorDriver {
  readonly name: HypervisorName;
  /** Version of the product, such as `7.2.22`. */
  readonly version: string;
  readonly features: VmFeatures;
  /** null: every VM is booted. */
  readonly templates: TemplateAbility | null;
  /**
   * Boots a VM. Resolves when the guest CPU runs, not when the agent answers. On failure or abort
   * nothing is left behind. The VM's process is in a session of its own and outlives hyperd.
   */
  launch(config: VmConfig, signal: AbortSignal): Promise<Vm>;
  /** Takes over a VM that outlived the daemon. Rejects NOT_FOUND if it is gone; never starts one. */
  adopt(record: VmRecord, signal: AbortSignal): Promise<Vm>;
}

/**
 * One running machine. Calls are serialised by the pod's mutex except connect and consoleTail. Plug,
 * pause and resume reject UNAVAILABLE when the VM is gone, TIMEOUT when its process does not answer.
 * Dispose = stop({ graceMs: 0 }) and free everything.
 */
export interface Vm extends AsyncDisposable {
  readonly id: string;
  readonly record: VmRecord;
  /** Settles exactly once, never rejects. */
  readonly exited: Promise<VmExit>;
  /** What guest and host have in common, for as long as the channels are of use; null: nothing. */
  readonly sharedMemory: SharedMemory | null;
  /** Milliseconds since launch() or launchClone() was called, by the name of the phase that ended then. */
  readonly timeline: Readonly<Record<string, number>>;
  /** One connection per channel at a time; rejects UNAVAILABLE once the VM is gone. */
  connect(channel: ChannelName, signal: AbortSignal): Promise<Duplex>;
  /** The last lines that the guest kernel printed, at most 64 KiB; works after the exit too. */
  consoleTail(): string;
  plug(device: Device, signal: AbortSignal): Promise<PluggedDevice>;
  /** Idempotent. */
  unplug(deviceId: string, signal: AbortSignal): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Idempotent. Waits graceMs for the guest to power off by itself, then ends it. */
  stop(options: { readonly graceMs: number }): Promise<VmExit>;
}
