import { unlessAborted } from '../../base/deadline.ts';
import { HyperError, messageOf } from '../../base/error.ts';
import type { Device } from '../driver.ts';
import {
  blockNode,
  deviceName,
  diskDevice,
  type HostCapabilities,
  hotplugPorts,
  netBackend,
  netName,
  nicDevice,
  nodeName,
  parseDeviceName,
} from './command-line.ts';
import type { QmpClient } from './qmp-client.ts';
import type { VmEvents } from './vm-events.ts';

interface Placed {
  readonly kind: Device['kind'];
  /** The hot-plug port it sits in; null when it was there from the start. */
  readonly port: string | null;
}

export interface HotplugOptions {
  readonly vmName: string;
  readonly qmp: QmpClient;
  readonly events: VmEvents;
  readonly host: HostCapabilities;
}

/** Plugs devices into the root ports of a running VM; QEMU itself knows what is where. */
export class Hotplug {
  readonly #options: HotplugOptions;

  constructor(options: HotplugOptions) {
    this.#options = options;
  }

  async plug(device: Device, signal: AbortSignal): Promise<void> {
    const { qmp, host, vmName } = this.#options;
    const placed = await this.#devices();
    if (placed.has(device.id)) {
      throw new HyperError('CONFLICT', `VM ${vmName}: plug: ${device.id} is there already`);
    }
    const used = new Set([...placed.values()].map(({ port }) => port));
    const bus = hotplugPorts.find((port) => !used.has(port));
    if (bus === undefined) {
      const ports = String(hotplugPorts.length);
      throw new HyperError(
        'UNAVAILABLE',
        `VM ${vmName}: plug ${device.id}: all ${ports} hot-plug ports are taken`,
      );
    }
    signal.throwIfAborted();
    const isDisk = device.kind === 'disk';
    const backend = isDisk ? blockNode(device) : netBackend(device, host);
    await qmp.execute(isDisk ? 'blockdev-add' : 'netdev_add', backend);
    try {
      signal.throwIfAborted();
      const front = isDisk ? diskDevice(device) : nicDevice(device);
      await qmp.execute('device_add', { ...front, bus });
    } catch (thrown) {
      await this.#removeBackend(device.id, device.kind);
      throw thrown;
    }
  }

  /** The guest has to let go of the device first; its refusal rejects CONFLICT. */
  async unplug(deviceId: string, signal: AbortSignal): Promise<void> {
    const { qmp, events, vmName } = this.#options;
    const found = (await this.#devices()).get(deviceId);
    if (found === undefined) {
      await this.#removeLeftBackends(deviceId);
      return;
    }
    if (found.port === null) {
      const text = `VM ${vmName}: unplug ${deviceId}: it was there from the start, only plugged devices can go`;
      throw new HyperError('UNSUPPORTED', text);
    }
    const name = deviceName(found.kind, deviceId);
    const removed = events.removalOf(name);
    removed.catch(() => undefined);
    try {
      await qmp.execute('device_del', { id: name });
    } catch (thrown) {
      // An unplug that was given up before may still be under way: then its end is awaited.
      if (!messageOf(thrown).includes('in the process of unplug')) throw thrown;
    }
    await unlessAborted(removed, signal);
    await this.#removeBackend(deviceId, found.kind);
  }

  /** Our devices in the VM by id: asked anew each time, so that an adopted VM is no special case. */
  async #devices(): Promise<Map<string, Placed>> {
    const list = await this.#options.qmp.execute('qom-list', { path: '/machine/peripheral' });
    const names = Array.isArray(list) ? list.map(nameOf) : [];
    const placed = await Promise.all(
      names.map(async (name): Promise<[string, Placed] | null> => {
        const parsed = parseDeviceName(name);
        if (parsed === null) return null;
        const query = { path: `/machine/peripheral/${name}`, property: 'parent_bus' };
        const bus = String(await this.#options.qmp.execute('qom-get', query));
        const port = hotplugPorts.find((candidate) => bus.endsWith(`/${candidate}`)) ?? null;
        return [parsed.id, { kind: parsed.kind, port }];
      }),
    );
    return new Map(placed.filter((entry) => entry !== null));
  }

  /** The host's side of a device that the guest let go after its unplug was given up. */
  async #removeLeftBackends(deviceId: string): Promise<void> {
    for (const kind of ['disk', 'nic'] as const) {
      try {
        await this.#removeBackend(deviceId, kind);
      } catch {
        // The usual case: there is none.
      }
    }
  }

  async #removeBackend(deviceId: string, kind: Device['kind']): Promise<void> {
    const { qmp } = this.#options;
    if (kind === 'disk') await qmp.execute('blockdev-del', { 'node-name': nodeName(deviceId) });
    else await qmp.execute('netdev_del', { id: netName(deviceId) });
  }
}

function nameOf(property: unknown): string {
  return typeof property === 'object' &&
    property !== null &&
    'name' in property &&
    typeof property.name === 'string'
    ? property.name
    : '';
}
