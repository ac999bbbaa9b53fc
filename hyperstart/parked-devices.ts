import { entriesOf, kernelFile } from './files.ts';
import { switchIpv6 } from './ipv6.ts';
import type { AsideStep, Sys } from './sys/sys.ts';

const bus = '/sys/bus/virtio';

/** A driver whose devices are parked, with where such a device tells the name that hyperd gave it. */
interface Driver {
  readonly name: string;
  readonly children: string;
  readonly file: string;
}

const disks: Driver = { name: 'virtio_blk', children: 'block', file: 'serial' };
const nics: Driver = { name: 'virtio_net', children: 'net', file: 'address' };
const drivers = [disks, nics];

/**
 * Disks and NICs that are there but have no driver. A VM that waits for its pod keeps its disks so: what
 * hyperd puts behind them meanwhile is seen afresh when the driver comes back, and a device that the pod
 * does not use shows nowhere.
 */
export class ParkedDevices {
  readonly #sys: Sys;
  /** Serial or MAC address by device, as found first: a pod may give a NIC another address meanwhile. */
  readonly #names = new Map<string, string>();
  /** sysfs files that bring the driver back, and the word to write there, by serial or MAC address. */
  readonly #parked = new Map<string, { readonly bindFile: string; readonly device: string }>();
  /** MAC addresses of the NICs whose interface was made without IPv6. */
  readonly #withoutIpv6 = new Set<string>();

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  /**
   * Takes the driver from every disk and NIC. A NIC gets it back at once: its interface is a fresh one then,
   * down and without address, and the next pod need not wait for it. It has no IPv6 either, as for most pods:
   * switching that off at the start would take longer.
   */
  park(): void {
    for (const driver of drivers) {
      for (const device of this.#devicesOf(driver)) {
        const key = this.#names.get(device) ?? this.#find(device, driver);
        if (key === null) continue;
        this.#names.set(device, key);
        this.#unbind(driver, device, key);
        if (driver === nics) this.#renewNic(key);
      }
    }
  }

  #renewNic(key: string): void {
    switchIpv6(this.#sys, 'default', false);
    try {
      this.unpark(key);
    } finally {
      switchIpv6(this.#sys, 'default', true);
    }
    this.#withoutIpv6.add(key);
  }

  /** Whether a NIC's interface was made without IPv6. */
  isWithoutIpv6(macAddress: string): boolean {
    return this.#withoutIpv6.has(macAddress);
  }

  /** Takes the driver from the NICs that the pod does not use, once they have been parked before. */
  hideNics(used: readonly string[]): void {
    for (const device of this.#names.size === 0 ? [] : this.#devicesOf(nics)) {
      const key = this.#names.get(device);
      if (key !== undefined && !used.includes(key)) this.#unbind(nics, device, key);
    }
  }

  /** Gives a parked device its driver back, by serial or MAC address; leaves any other alone. */
  unpark(key: string): void {
    const parked = this.#parked.get(key);
    if (parked === undefined) return;
    this.#withoutIpv6.delete(key);
    this.#sys.writeFile(parked.bindFile, parked.device);
    this.#parked.delete(key);
  }

  /** The same for several, while the caller goes on; what it returns waits. null: none of them is parked. */
  unparkAside(keys: readonly string[]): (() => void) | null {
    const steps: AsideStep[] = [];
    for (const key of keys) {
      const parked = this.#parked.get(key);
      if (parked === undefined) continue;
      const { bindFile, device } = parked;
      steps.push({ action: `unparking ${key}`, kind: 'write', path: bindFile, text: device });
      this.#parked.delete(key);
    }
    return steps.length === 0 ? null : this.#sys.aside(steps);
  }

  #devicesOf({ name }: Driver): readonly string[] {
    return entriesOf(this.#sys, `${bus}/drivers/${name}`).filter((entry) =>
      entry.startsWith('virtio'),
    );
  }

  #unbind({ name }: Driver, device: string, key: string): void {
    const directory = `${bus}/drivers/${name}`;
    this.#sys.writeFile(`${directory}/unbind`, device);
    this.#parked.set(key, { bindFile: `${directory}/bind`, device });
  }

  #find(device: string, { children, file }: Driver): string | null {
    const directory = `${bus}/devices/${device}/${children}`;
    const [child] = entriesOf(this.#sys, directory);
    return child === undefined ? null : kernelFile(this.#sys, `${directory}/${child}/${file}`);
  }
}
