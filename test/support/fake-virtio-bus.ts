import { SysError } from '../../hyperstart/sys/sys.ts';
import type { FakeFileSystem } from './fake-file-system.ts';

const bus = '/sys/bus/virtio';

/** What a device keeps while no driver is on it. */
export type VirtioDevice =
  | { readonly driver: 'virtio_blk'; readonly serial: string }
  | { readonly driver: 'virtio_net'; readonly macAddress: string };

export interface NetworkDevice {
  readonly index: number;
  name: string;
  macAddress: string;
}

/**
 * The kernel's virtio bus with its disks and NICs, as sysfs shows them. A device without driver has no
 * block device and no network interface; one that gets its driver back takes the first name that is free,
 * and a NIC its hardware address.
 */
export class FakeVirtioBus {
  readonly nics: NetworkDevice[] = [{ index: 1, name: 'lo', macAddress: '00:00:00:00:00:00' }];
  readonly #files: FakeFileSystem;
  readonly #emitUevent: (uevent: string) => void;
  readonly #devices = new Map<string, VirtioDevice>();
  /** Device by name of its block device or network interface, for those with a driver. */
  readonly #bound = new Map<string, string>();

  constructor(files: FakeFileSystem, emitUevent: (uevent: string) => void) {
    this.#files = files;
    this.#emitUevent = emitUevent;
    for (const driver of ['virtio_blk', 'virtio_net']) {
      for (const name of ['bind', 'unbind']) files.put(`${bus}/drivers/${driver}/${name}`, '');
    }
    files.put('/sys/class/net/lo/ifindex', '1\n');
    files.putDirectory('/sys/class/block');
  }

  /** Adds a device under a name of the test's choice; the uevent has gone out. */
  plug(device: VirtioDevice, name: string, index?: number): void {
    const id = `virtio${String(this.#devices.size)}`;
    this.#devices.set(id, device);
    this.#files.putDirectory(`${bus}/devices/${id}`);
    this.#probe(id, name, index);
    this.#emitUevent(uevent('add', device, name));
  }

  /** Names of the disks and NICs that have a driver. */
  get names(): readonly string[] {
    return [...this.#bound.keys()];
  }

  /** What the kernel does at a write to one of the drivers' files; the uevent comes later. */
  written(path: string, id: string): void {
    const [driver, file] = path.slice(`${bus}/drivers/`.length).split('/');
    const device = this.#devices.get(id);
    const name = [...this.#bound].find(([, each]) => each === id)?.[0];
    if (
      device === undefined ||
      device.driver !== driver ||
      (name === undefined) !== (file === 'bind')
    ) {
      throw new SysError(`write ${path}`, 'ENODEV', 'No such device');
    }
    const now = name ?? this.#freeName(device);
    if (name === undefined) this.#probe(id, now);
    else this.#remove(id, name);
    queueMicrotask(() => {
      this.#emitUevent(uevent(name === undefined ? 'add' : 'remove', device, now));
    });
  }

  rename(index: number, name: string): void {
    if (this.nics.some((nic) => nic.name === name)) {
      throw new SysError('rename', 'EEXIST', 'File exists');
    }
    const nic = this.#requireNic('rename', index);
    const id = this.#bound.get(nic.name);
    this.#files.removeTree(`/sys/class/net/${nic.name}`);
    if (id !== undefined) {
      this.#files.removeTree(`${bus}/devices/${id}/net`);
      this.#bound.delete(nic.name);
      this.#bound.set(name, id);
    }
    nic.name = name;
    this.#showNic(nic, id);
  }

  setMacAddress(index: number, macAddress: string): void {
    const nic = this.#requireNic('set the address', index);
    nic.macAddress = macAddress;
    this.#showNic(nic, this.#bound.get(nic.name));
  }

  #probe(id: string, name: string, index?: number): void {
    const device = this.#devices.get(id);
    if (device === undefined) throw new Error(`no device ${id}`);
    this.#bound.set(name, id);
    this.#files.putLink(`${bus}/drivers/${device.driver}/${id}`, `${bus}/devices/${id}`);
    if (device.driver === 'virtio_blk') {
      this.#files.put(`/sys/class/block/${name}/serial`, device.serial);
      this.#files.put(`${bus}/devices/${id}/block/${name}/serial`, device.serial);
    } else {
      const next = Math.max(...this.nics.map((nic) => nic.index)) + 1;
      const nic = { index: index ?? next, name, macAddress: device.macAddress };
      this.nics.push(nic);
      this.#showNic(nic, id);
    }
  }

  #remove(id: string, name: string): void {
    const device = this.#devices.get(id);
    const [kind, linkOwner] =
      device?.driver === 'virtio_blk' ? ['block', 'virtio_blk'] : ['net', 'virtio_net'];
    this.#bound.delete(name);
    this.#files.removeFile(`${bus}/drivers/${linkOwner}/${id}`);
    this.#files.removeTree(`${bus}/devices/${id}`);
    this.#files.removeTree(`/sys/class/${kind}/${name}`);
    this.#files.removeDirectory(`/sys/class/${kind}/${name}`);
    const at = this.nics.findIndex((nic) => nic.name === name);
    if (at >= 0) this.nics.splice(at, 1);
  }

  #showNic({ index, name, macAddress }: NetworkDevice, id: string | undefined): void {
    this.#files.put(`/sys/class/net/${name}/ifindex`, `${String(index)}\n`);
    if (id !== undefined) this.#files.put(`${bus}/devices/${id}/net/${name}/address`, macAddress);
  }

  #freeName({ driver }: VirtioDevice): string {
    const isDisk = driver === 'virtio_blk';
    const taken = new Set(isDisk ? this.names : this.nics.map(({ name }) => name));
    const names = isDisk ? Array.from('abcdefghij', (letter) => `vd${letter}`) : [];
    const free = [...names, ...Array.from({ length: 8 }, (_, number) => `eth${String(number)}`)];
    return free.find((name) => !taken.has(name)) ?? 'none';
  }

  #requireNic(operation: string, index: number): NetworkDevice {
    const nic = this.nics.find((candidate) => candidate.index === index);
    if (nic === undefined) throw new SysError(operation, 'ENODEV', 'No such device');
    return nic;
  }
}

function uevent(action: 'add' | 'remove', { driver }: VirtioDevice, name: string): string {
  const subsystem = driver === 'virtio_blk' ? 'block' : 'net';
  return `${action}@/devices/pci0000:00/${subsystem}/${name}\nSUBSYSTEM=${subsystem}`;
}
