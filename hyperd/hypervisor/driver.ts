import type { Duplex } from 'node:stream';

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
  /**
   * Boots a VM. Resolves when the guest CPU runs, not when the agent answers. On failure or abort
   * nothing is left behind. The VM's process is in a session of its own and outlives hyperd.
   */
  launch(config: VmConfig, signal: AbortSignal): Promise<Vm>;
  /** Takes over a VM that outlived the daemon. Rejects NOT_FOUND if it is gone; never starts one. */
  adopt(record: VmRecord, signal: AbortSignal): Promise<Vm>;
}

/**
 * One running machine. Calls are serialised by the pod's mutex except connect and consoleTail.
 * Dispose = stop({ graceMs: 0 }) and free everything.
 */
export interface Vm extends AsyncDisposable {
  readonly id: string;
  readonly record: VmRecord;
  /** Settles exactly once, never rejects. */
  readonly exited: Promise<VmExit>;
  /** Milliseconds since launch() was called, by the name of the phase that ended then. */
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
