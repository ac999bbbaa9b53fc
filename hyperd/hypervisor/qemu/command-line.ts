import path from 'node:path';

import { HyperError } from '../../base/error.ts';
import type { Device, Disk, Nic, VmConfig } from '../driver.ts';
import { kernelWords } from './kernel-words.ts';
import { sharedMemoryArguments } from './shared-memory.ts';

/** Name of the agent's virtio-serial port, as the guest sees it. */
const controlPort = 'hyper.control';

/** Unix sockets in a VM's run directory. */
export function socketPaths(runDirectory: string): Record<'qmp' | 'console' | 'control', string> {
  return {
    qmp: path.join(runDirectory, 'qmp.sock'),
    console: path.join(runDirectory, 'console.sock'),
    control: path.join(runDirectory, 'control.sock'),
  };
}

/** Number of the descriptor by which QEMU reads or writes a machine's state. */
export const stateDescriptor = 3;

export interface HostCapabilities {
  readonly kvm: boolean;
  readonly vhostNet: boolean;
  /** QEMU brings qboot: it hands over to a PVH kernel at once, where SeaBIOS first sets up every device. */
  readonly qboot: boolean;
}

/**
 * An emulated processor executes a string instruction element by element: with ERMS or FSRM the kernel
 * would copy and clear memory by single bytes.
 */
const emulatedCpu = 'max,-erms,-fsrm';

/** Arguments that choose machine, processor and firmware. */
export function machineArguments(host: HostCapabilities): readonly string[] {
  return [
    ...['-machine', 'q35,usb=off,sata=off,smbus=off,vmport=off,hpet=on'],
    ...(host.kvm
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi,tb-size=64', '-cpu', emulatedCpu]),
    ...(host.qboot ? ['-bios', qbootFile] : []),
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
  ];
}

export const qbootFile = 'qboot.rom';

/** Without the ports of the legacy interface, which our kernel does not use and each boot would set up. */
const modern = 'disable-legacy=on';

/** Arguments of qemu-system for a paused VM that will boot. */
export function qemuArguments(config: VmConfig, host: HostCapabilities): readonly string[] {
  return [
    ...vmArguments(config, host),
    ...(host.kvm ? [] : sharedMemoryArguments({ isShared: true })),
    ...['-m', `${String(config.memoryMiB)}M`],
    ...bootArguments(config, host),
    ...config.devices.filter((device) => device.kind === 'disk').flatMap(diskArguments),
    ...config.devices
      .filter((device) => device.kind === 'nic')
      .flatMap((nic) => nicArguments(nic, host)),
  ];
}

/** Kernel, init and the kernel's command line. */
export function bootArguments(
  config: Pick<VmConfig, 'kernelPath' | 'initrdPath' | 'kernelArguments' | 'memoryMiB'>,
  host: HostCapabilities,
): readonly string[] {
  return [
    ...['-kernel', config.kernelPath, '-initrd', config.initrdPath],
    ...['-append', [...kernelWords(config, host), ...config.kernelArguments].join(' ')],
  ];
}

/**
 * What every VM has, whatever its memory, its disks and its way to start: a paused machine with
 * monitor, console and control channel on sockets in its run directory, balloon and hot-plug ports.
 */
export function vmArguments(
  config: Pick<VmConfig, 'id' | 'runDirectory' | 'vcpus'>,
  host: HostCapabilities,
): readonly string[] {
  const sockets = socketPaths(config.runDirectory);
  return [
    ...['-name', `hyper-${config.id.slice(0, 12)}`],
    ...machineArguments(host),
    ...['-smp', String(config.vcpus)],
    '-S',
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-chardev', `socket,id=qmp,path=${escape(sockets.qmp)},server=on,wait=off`],
    ...['-mon', 'chardev=qmp,mode=control'],
    ...['-chardev', `socket,id=console,path=${escape(sockets.console)},server=on,wait=off,mux=on`],
    ...['-chardev', `socket,id=control,path=${escape(sockets.control)},server=on,wait=off`],
    ...['-serial', 'chardev:console'],
    ...['-device', `virtio-serial-pci,max_ports=2,${modern}`],
    ...['-device', 'virtconsole,chardev=console'],
    ...['-device', `virtserialport,chardev=control,name=${controlPort}`],
    ...['-device', `virtio-balloon-pci,free-page-reporting=on,${modern}`],
    ...hotplugPorts.flatMap((port, index) => [
      '-device',
      `pcie-root-port,id=${port},chassis=${String(index + 1)},addr=${hex(firstPortSlot + index)}.0`,
    ]),
  ];
}

/** Root ports that take one hot-plugged device each. */
export const hotplugPorts: readonly string[] = ['hotplug0', 'hotplug1'];
const firstPortSlot = 4;
/** Disks take the functions of the slots from here on, 8 to a slot; 0x1e is that of shared memory, 0x1f the chipset's. */
const firstDiskSlot = 8;
const maxDisks = (0x1e - firstDiskSlot) * 8;
/** What the slots below leave after channels, balloon and ports. */
const maxNics = 4;

const idPattern = /^[a-zA-Z0-9_-]{1,20}$/;

/** Refuses devices that QEMU would refuse less clearly, or take for something else. */
export function checkDevices(devices: readonly Device[]): void {
  const ids = new Set<string>();
  for (const { id } of devices) {
    if (!idPattern.test(id)) {
      const text = `device id ${JSON.stringify(id)}: must be 1 to 20 characters of [a-zA-Z0-9_-]`;
      throw new HyperError('INVALID_ARGUMENT', text);
    }
    if (ids.has(id)) throw new HyperError('INVALID_ARGUMENT', `device id ${id}: given twice`);
    ids.add(id);
  }
  checkCount(devices, 'disk', maxDisks);
  checkCount(devices, 'nic', maxNics);
}

function checkCount(devices: readonly Device[], kind: Device['kind'], most: number): void {
  const count = devices.filter((device) => device.kind === kind).length;
  if (count <= most) return;
  const text = `${String(count)} devices of kind ${kind}: a VM has room for ${String(most)}`;
  throw new HyperError('INVALID_ARGUMENT', text);
}

function diskArguments(disk: Disk, index: number): readonly string[] {
  return [
    ...['-blockdev', JSON.stringify(blockNode(disk))],
    ...['-device', JSON.stringify({ ...diskDevice(disk), ...diskAddress(index) })],
  ];
}

/** Place of the disk with this number on the PCI bus. */
export function diskAddress(index: number): Record<string, unknown> {
  const addr = `${hex(firstDiskSlot + Math.floor(index / 8))}.${String(index % 8)}`;
  return { addr, multifunction: true };
}

/** The host file as a block node: raw by decree, since probing would let a guest choose the format. */
export function blockNode(disk: Disk): Record<string, unknown> {
  return {
    driver: 'file',
    'node-name': nodeName(disk.id),
    filename: disk.path,
    'read-only': disk.readOnly,
    // Layers are shared by many VMs; a writable disk is locked against a second one.
    locking: disk.readOnly ? 'off' : 'auto',
    discard: disk.readOnly ? 'ignore' : 'unmap',
  };
}

export function diskDevice(disk: Pick<Disk, 'id'>): Record<string, unknown> {
  return {
    ...diskFrontEnd,
    id: deviceName('disk', disk.id),
    serial: disk.id,
    drive: nodeName(disk.id),
  };
}

/** What all disks have in common. */
export const diskFrontEnd: Readonly<Record<string, unknown>> = {
  driver: 'virtio-blk-pci',
  'disable-legacy': 'on',
  // QEMU's default stops the whole VM when the host has no space left: the guest shall see the error.
  werror: 'report',
  rerror: 'report',
};

/** QEMU's name of a device: its names must begin with a letter, which our ids need not. */
export function deviceName(kind: Device['kind'], deviceId: string): string {
  return `${kind}-${deviceId}`;
}

/** The opposite of deviceName; null for what is not one of our devices. */
export function parseDeviceName(name: string): Pick<Device, 'kind' | 'id'> | null {
  const match = /^(disk|nic)-(.+)$/.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return { kind: match[1] === 'disk' ? 'disk' : 'nic', id: match[2] };
}

export function nodeName(diskId: string): string {
  return `node-${diskId}`;
}

export function netName(nicId: string): string {
  return `net-${nicId}`;
}

export function netBackend(nic: Nic, host: HostCapabilities): Record<string, unknown> {
  return {
    type: 'tap',
    id: netName(nic.id),
    ifname: nic.tapName,
    script: 'no',
    downscript: 'no',
    vhost: host.vhostNet,
  };
}

export function nicDevice(nic: Nic): Record<string, unknown> {
  return {
    driver: 'virtio-net-pci',
    'disable-legacy': 'on',
    id: deviceName('nic', nic.id),
    netdev: netName(nic.id),
    mac: nic.macAddress,
    romfile: '',
  };
}

export function nicArguments(nic: Nic, host: HostCapabilities): readonly string[] {
  return [
    '-netdev',
    JSON.stringify(netBackend(nic, host)),
    '-device',
    JSON.stringify(nicDevice(nic)),
  ];
}

/** QEMU's option syntax doubles a comma that is meant literally. */
export function escape(value: string): string {
  return value.replaceAll(',', ',,');
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
