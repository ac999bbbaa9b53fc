import { entriesOf, kernelFile } from './files.ts';
import type { Sys } from './sys/sys.ts';

const bus = '/sys/bus/virtio';

/** Drivers whose devices are parked, with where such a device tells the name that hyperd gave it. */
const drivers = [
  { name: 'virtio_blk', children: 'block', file: 'serial' },
  { name: 'virtio_net', children: 'net', file: 'address' },
] as const;

/**
 * Disks and NICs that are there but have no driver. A VM that waits for its pod keeps all of them so:
 * what hyperd puts behind them meanwhile is seen afresh when the driver comes back, and a device that
 * the pod does not use shows nowhere.
 */
export class ParkedDevices {
  readonly #sys: Sys;
  /** Serial or MAC address by device, as found first: a pod may give a NIC another address meanwhile. */
  readonly #names = new Map<string, string>();
  /** sysfs files that bring the driver back, and the word to write there, by serial or MAC address. */
  readonly #parked = new Map<string, { readonly bindFile: string; readonly device: string }>();

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  /** Takes the driver from every disk and NIC. */
  park(): void {
    for (const driver of drivers) {
      const directory = `${bus}/drivers/${driver.name}`;
      for (const device of entriesOf(this.#sys, directory)) {
        if (!device.startsWith('virtio')) continue;
        const key = this.#names.get(device) ?? this.#find(device, driver);
        if (key === null) continue;
        this.#names.set(device, key);
        this.#sys.writeFile(`${directory}/unbind`, device);
        this.#parked.set(key, { bindFile: `${directory}/bind`, device });
      }
    }
  }

  /** Gives a parked device its driver back, by serial or MAC address; leaves any other alone. */
  unpark(key: string): void {
    const parked = this.#parked.get(key);
    if (parked === undefined) return;
    this.#sys.writeFile(parked.bindFile, parked.device);
    this.#parked.delete(key);
  }

  #find(device: string, { children, file }: (typeof drivers)[number]): string | null {
    const directory = `${bus}/devices/${device}/${children}`;
    const [child] = entriesOf(this.#sys, directory);
    return child === undefined ? null : kernelFile(this.#sys, `${directory}/${child}/${file}`);
  }
}
