import type { Cancellation } from './cancellation.ts';
import type { DeviceWatcher } from './devices.ts';
import { kernelFile } from './files.ts';
import { switchIpv6 } from './ipv6.ts';
import type { ParkedDevices } from './parked-devices.ts';
import type { InterfaceConfig, PodConfig } from './protocol/message.ts';
import { during, RequestError } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

const loopbackMtu = 65536;

/** Brings the loopback interface up; the kernel gives it 127.0.0.1 and ::1 by itself. */
export function bringLoopbackUp(sys: Sys): void {
  const index = indexByName(sys, 'lo');
  if (index === null) throw new RequestError('INTERNAL', 'the kernel has no loopback interface');
  sys.network.setUp(index, loopbackMtu);
}

export interface NetworkContext {
  readonly sys: Sys;
  readonly devices: DeviceWatcher;
  readonly parked: ParkedDevices;
}

/** Waits for the pod's NICs, then names and configures them and adds the routes. */
export async function configureNetwork(
  { sys, devices, parked }: NetworkContext,
  pod: PodConfig,
  cancellation: Cancellation,
): Promise<void> {
  parked.hideNics(pod.interfaces.map(({ deviceMacAddress }) => deviceMacAddress));
  const indexes = new Map<string, number>();
  for (const config of pod.interfaces) {
    parked.unpark(config.deviceMacAddress);
    const index = await devices.waitFor(
      () => sys.network.indexByMacAddress(config.deviceMacAddress),
      () => `network interface ${config.name} (${config.deviceMacAddress})`,
      cancellation,
    );
    during(`configuring network interface ${config.name}`, () => {
      const hasIpv6 = !parked.isWithoutIpv6(config.deviceMacAddress);
      configureInterface(sys, index, { ...config, hasIpv6 });
    });
    indexes.set(config.name, index);
  }
  for (const route of pod.routes) {
    const index = indexes.get(route.interfaceName);
    if (index === undefined) {
      throw new RequestError(
        'INVALID_ARGUMENT',
        `route to ${route.destination} names the unknown interface ${route.interfaceName}`,
      );
    }
    during(`adding the route to ${route.destination} by ${route.gateway}`, () => {
      sys.network.addRoute(route.destination, route.gateway, index);
    });
  }
}

interface Interface extends InterfaceConfig {
  /** As the interface is now. */
  readonly hasIpv6: boolean;
}

function configureInterface(sys: Sys, index: number, config: Interface): void {
  const holder = indexByName(sys, config.name);
  if (holder !== index) {
    // Another NIC, still unused or yet to be named, came up under this name.
    if (holder !== null) sys.network.rename(holder, `spare${String(holder)}`);
    sys.network.rename(index, config.name);
  }
  if (config.macAddress !== config.deviceMacAddress) {
    sys.network.setMacAddress(index, config.macAddress);
  }
  const wantsIpv6 = config.addresses.some((address) => address.includes(':'));
  // As with Docker: without an IPv6 address there is no link-local one either.
  if (config.hasIpv6 !== wantsIpv6) switchIpv6(sys, config.name, wantsIpv6);
  sys.network.setUp(index, config.mtu);
  for (const address of config.addresses) sys.network.addAddress(index, address);
}

function indexByName(sys: Sys, name: string): number | null {
  const text = kernelFile(sys, `/sys/class/net/${name}/ifindex`);
  return text === null ? null : Number(text);
}
