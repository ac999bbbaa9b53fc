import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';

import { HyperError } from '../base/error.ts';
import { tryLock } from '../base/file-lock.ts';
import { AddressPool } from './address-pool.ts';
import { Firewall, type Identity } from './firewall.ts';
import {
  addTap,
  configureBridge,
  ensureBridge,
  listTaps,
  removeLink,
  routedNetworks,
  tapNameOf,
} from './host-links.ts';
import {
  formatIpv4,
  formatNetwork,
  type Ipv4Network,
  macAddressOf,
  overlaps,
  parseIpv4,
  parseNetwork,
} from './ipv4.ts';
import type {
  Endpoint,
  EndpointConfig,
  EndpointRecord,
  NetworkInfo,
  NetworkManager,
  PortBinding,
  PreparedTap,
} from './network-manager.ts';
import { type PortReservation, reservePort } from './port-reservation.ts';
import { TapStock } from './tap-stock.ts';

export interface BridgeNetworkConfig {
  /** Default `hyper0`. */
  readonly bridgeName?: string;
  /** Default: the first of a few private networks that the host has no route into. */
  readonly subnet?: string;
  readonly mtu?: number;
}

/** TAPs that wait for the next VMs. */
const spareTaps = { size: 2, restMs: 500 };
/** While so many addresses are free, a TAP has one before a pod wants it: no start waits for nft(8) then. */
const plentyOfAddresses = 1024;

const candidateSubnets = [
  '172.29.0.0/16',
  '172.30.0.0/16',
  '172.31.0.0/16',
  '10.129.0.0/16',
  '192.168.240.0/20',
];

/**
 * Opens the default bridge network, making bridge and firewall tables when they are not there.
 * Rejects UNAVAILABLE without root, TUN, iproute2 or nftables, saying which, and CONFLICT while another
 * hyperd has the bridge: each would remove the other's TAPs.
 */
export async function openBridgeNetwork(config: BridgeNetworkConfig): Promise<NetworkManager> {
  if (process.getuid?.() !== 0) {
    throw new HyperError(
      'UNAVAILABLE',
      'the bridge network needs root (it makes TAP devices and nftables rules)',
      {
        hint: 'run hyperd as root, or start containers with --network none',
      },
    );
  }
  const bridgeName = config.bridgeName ?? 'hyper0';
  const mtu = config.mtu ?? 1500;
  const network =
    config.subnet === undefined
      ? await freeNetwork(bridgeName)
      : parseNetwork(config.subnet, 'subnet');
  const pool = new AddressPool(network);
  const gateway = formatIpv4(pool.gateway);
  await using undo = new AsyncDisposableStack();
  await ensureBridge(bridgeName);
  // Lets published ports be reached at 127.0.0.1; the firewall keeps guests from using it.
  const routeLocalnet = `/proc/sys/net/ipv4/conf/${bridgeName}/route_localnet`;
  undo.use(await lockBridge(bridgeName, routeLocalnet));
  const address = `${gateway}/${String(network.prefixLength)}`;
  await configureBridge(bridgeName, { address, macAddress: macAddressOf(pool.gateway) }, mtu);
  await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
  await writeFile(routeLocalnet, '1');
  const subnet = formatNetwork(network);
  const firewall = new Firewall({ bridgeName, subnet });
  await firewall.install();
  const id = createHash('sha256').update(`bridge ${bridgeName} ${subnet}`).digest('hex');
  return new BridgeNetwork(
    { id, name: 'bridge', bridgeName, subnet, gateway, mtu },
    { pool, firewall, resources: undo.move() },
  );
}

/** The kernel has a file of each bridge in each network namespace, which is what it is to be locked by. */
async function lockBridge(bridgeName: string, itsFile: string): Promise<AsyncDisposable> {
  const lock = await tryLock(itsFile, 'r');
  if (lock !== null) return lock;
  throw new HyperError('CONFLICT', `the bridge ${bridgeName} is in use by another hyperd`, {
    hint: 'stop it, or give this one a --bridge of its own',
  });
}

interface BridgeParts {
  readonly pool: AddressPool;
  readonly firewall: Firewall;
  readonly resources: AsyncDisposableStack;
}

class BridgeNetwork implements NetworkManager {
  readonly info: NetworkInfo;
  readonly #pool: AddressPool;
  readonly #firewall: Firewall;
  readonly #reservations = new Set<PortReservation>();
  /** By name of the TAP, for those that were made with an address. */
  readonly #identities = new Map<string, Identity>();
  readonly #resources: AsyncDisposableStack;
  readonly #taps = new TapStock({ ...spareTaps, make: () => this.#makeTap() });

  constructor(info: NetworkInfo, { pool, firewall, resources }: BridgeParts) {
    this.info = info;
    this.#pool = pool;
    this.#firewall = firewall;
    this.#resources = resources;
  }

  async createEndpoint(config: EndpointConfig, signal: AbortSignal): Promise<Endpoint> {
    await using undo = new AsyncDisposableStack();
    const tap = config.tap ?? undo.use(await this.prepareTap());
    const { tapName } = tap;
    const own = this.#identities.get(tapName) ?? null;
    const identity = own ?? this.#allocate(undo);
    const podAddress = identity.address;
    const ports = [...(await this.#reservePorts(config.ports, podAddress, undo))];
    if (hasIpv6()) {
      // Published everywhere means on IPv6 too, at the same port.
      const everywhere = ports.filter((port) => port.hostAddress === '' && port.protocol === 'tcp');
      const onIpv6 = everywhere.map((port) => ({ ...port, hostAddress: '::' }));
      ports.push(...(await this.#reservePorts(onIpv6, podAddress, undo)));
    }
    const { gateway, mtu } = this.info;
    const record: EndpointRecord = {
      podId: config.podId,
      tapName,
      macAddress: config.macAddress ?? identity.macAddress,
      address: `${podAddress}/${String(this.#pool.network.prefixLength)}`,
      gateway,
      mtu,
      ports,
    };
    signal.throwIfAborted();
    await this.#admit(record, own, undo);
    signal.throwIfAborted();
    return new BridgeEndpoint(record, undo.move());
  }

  /** An address, released again by `undo`. */
  #allocate(undo: AsyncDisposableStack): Identity {
    const address = this.#pool.allocate();
    undo.defer(() => {
      this.#pool.release(address);
    });
    return { macAddress: macAddressOf(address), address: formatIpv4(address) };
  }

  /** Lets the firewall know an endpoint whose TAP has an identity of its own, or has none. */
  async #admit(
    record: EndpointRecord,
    own: Identity | null,
    undo: AsyncDisposableStack,
  ): Promise<void> {
    if (own === null) {
      await this.#firewall.add(record);
      undo.defer(() => this.#firewall.remove(record));
      return;
    }
    await this.#firewall.publish(record, own);
    this.#identities.set(record.tapName, { ...own, macAddress: record.macAddress });
    undo.defer(() => this.#firewall.unpublish(record));
  }

  prepareTap(): Promise<PreparedTap> {
    return this.#taps.take();
  }

  async silence({ tapName }: PreparedTap): Promise<void> {
    const identity = this.#identities.get(tapName);
    if (identity === undefined) return;
    await this.#firewall.silence(tapName, identity);
    this.#identities.delete(tapName);
  }

  async #makeTap(): Promise<PreparedTap> {
    const tapName = tapNameOf(randomBytes(6).toString('hex'));
    const { bridgeName, mtu } = this.info;
    await using undo = new AsyncDisposableStack();
    const identity = this.#pool.free < plentyOfAddresses ? null : this.#allocate(undo);
    await this.#firewall.guard(tapName, identity);
    if (identity !== null) this.#identities.set(tapName, identity);
    undo.defer(() => this.#removeTap(tapName));
    await addTap(tapName, bridgeName, mtu);
    const resources = undo.move();
    return { tapName, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  }

  /** The guard goes last: until then a guest could send under any name. */
  async #removeTap(tapName: string): Promise<void> {
    await removeLink(tapName);
    await this.#firewall.unguard(tapName, this.#identities.get(tapName) ?? null);
    this.#identities.delete(tapName);
  }

  async adoptEndpoint(record: EndpointRecord): Promise<Endpoint> {
    if (!(await listTaps(this.info.bridgeName)).includes(record.tapName)) {
      throw new HyperError(
        'NOT_FOUND',
        `TAP device ${record.tapName} is gone from ${this.info.bridgeName}`,
      );
    }
    await using undo = new AsyncDisposableStack();
    const text = record.address.split('/')[0] ?? '';
    const address = parseIpv4(text);
    if (address === null) {
      throw new HyperError('INVALID_ARGUMENT', `endpoint record: bad address ${record.address}`);
    }
    this.#pool.reserve(address);
    undo.defer(() => {
      this.#pool.release(address);
    });
    await this.#reservePorts(record.ports, text, undo);
    undo.defer(() => this.#removeTap(record.tapName));
    await this.#firewall.add(record);
    undo.defer(() => this.#firewall.remove(record));
    return new BridgeEndpoint(record, undo.move());
  }

  async sweep(tapNames: ReadonlySet<string>): Promise<void> {
    for (const tapName of await listTaps(this.info.bridgeName)) {
      if (!tapNames.has(tapName)) await removeLink(tapName);
    }
  }

  /** Lets go of the ports; bridge, TAPs in use and rules stay for the pods that run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await using _ = this.#resources;
    await this.#taps[Symbol.asyncDispose]();
    await Promise.all([...this.#reservations].map((held) => held[Symbol.asyncDispose]()));
  }

  async #reservePorts(
    wanted: readonly PortBinding[],
    podAddress: string,
    undo: AsyncDisposableStack,
  ): Promise<readonly PortBinding[]> {
    const ports: PortBinding[] = [];
    for (const port of wanted) {
      const held = await reservePort(port, podAddress);
      this.#reservations.add(held);
      undo.defer(async () => {
        this.#reservations.delete(held);
        await held[Symbol.asyncDispose]();
      });
      ports.push(held.port);
    }
    return ports;
  }
}

class BridgeEndpoint implements Endpoint {
  readonly record: EndpointRecord;
  readonly #resources: AsyncDisposableStack;

  constructor(record: EndpointRecord, resources: AsyncDisposableStack) {
    this.record = record;
    this.#resources = resources;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

/** False on hosts (and in network namespaces) without any IPv6 address. */
function hasIpv6(): boolean {
  try {
    return readFileSync('/proc/net/if_inet6', 'utf8') !== '';
  } catch {
    return false;
  }
}

async function freeNetwork(bridgeName: string): Promise<Ipv4Network> {
  const routed = (await routedNetworks(bridgeName)).flatMap((text) => {
    const [address = '', prefix] = text.split('/');
    const base = parseIpv4(address);
    return base === null ? [] : [{ base, prefixLength: Number(prefix) }];
  });
  const free = candidateSubnets
    .map((text) => parseNetwork(text, 'subnet'))
    .find((candidate) => !routed.some((other) => overlaps(candidate, other)));
  if (free === undefined) {
    throw new HyperError('UNAVAILABLE', 'every default subnet overlaps a route of this host', {
      hint: 'choose one with --bridge-subnet',
    });
  }
  return free;
}
