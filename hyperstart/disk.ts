import type { Cancellation } from './cancellation.ts';
import type { DeviceWatcher } from './devices.ts';
import { entriesOf, kernelFile } from './files.ts';
import type { ParkedDevices } from './parked-devices.ts';
import type { Sys } from './sys/sys.ts';

const blockDevices = '/sys/class/block';

/** Finds virtio disks by the serial that hyperd gave them. */
export class DiskFinder {
  readonly #sys: Sys;
  readonly #devices: DeviceWatcher;
  readonly #parked: ParkedDevices;
  /** Serial by device name: reading one asks the device. */
  readonly #serials = new Map<string, string>();

  constructor(sys: Sys, devices: DeviceWatcher, parked: ParkedDevices) {
    this.#sys = sys;
    this.#devices = devices;
    this.#parked = parked;
    devices.onRemoval(() => {
      this.forget();
    });
  }

  /** To be called when a device name may mean another disk than before. */
  forget(): void {
    this.#serials.clear();
  }

  /** Begins to bring parked ones back; what it returns waits for that. null: none of them is parked. */
  unpark(serials: readonly string[]): (() => void) | null {
    return this.#parked.unparkAside(serials);
  }

  /** Resolves with the device path of every serial, once all of them are there. */
  waitFor(
    serials: readonly string[],
    cancellation: Cancellation,
  ): Promise<ReadonlyMap<string, string>> {
    return this.#devices.waitFor(
      () => {
        const found = this.#scan();
        return serials.every((serial) => found.has(serial)) ? found : null;
      },
      () => {
        const found = this.#scan();
        const missing = serials.filter((serial) => !found.has(serial));
        return `disk${missing.length === 1 ? '' : 's'} ${missing.join(', ')}`;
      },
      cancellation,
    );
  }

  #scan(): Map<string, string> {
    const found = new Map<string, string>();
    for (const name of entriesOf(this.#sys, blockDevices)) {
      if (!name.startsWith('vd')) continue;
      const serial =
        this.#serials.get(name) ?? kernelFile(this.#sys, `${blockDevices}/${name}/serial`);
      if (serial === null || serial === '') continue;
      this.#serials.set(name, serial);
      found.set(serial, `/dev/${name}`);
    }
    return found;
  }
}
