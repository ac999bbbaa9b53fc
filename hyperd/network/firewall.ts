import { run } from '../base/subprocess.ts';
import type { EndpointRecord, PortBinding } from './network-manager.ts';

/** What a TAP may send as. */
export interface Identity {
  readonly macAddress: string;
  /** IPv4, without a prefix length. */
  readonly address: string;
}

export interface FirewallConfig {
  readonly bridgeName: string;
  readonly subnet: string;
}

/**
 * Our nftables tables: `ip` for NAT and published ports, `bridge` against spoofing. Both are wholly
 * ours and named after the bridge; nothing else of the host's rules is touched. An endpoint is only
 * elements of sets and maps, so that adding and removing one never rewrites a rule.
 */
export class Firewall {
  readonly #table: string;
  readonly #config: FirewallConfig;

  constructor(config: FirewallConfig) {
    this.#config = config;
    this.#table = config.bridgeName;
  }

  /** Makes the tables afresh, in one transaction; connections that are open go on. */
  async install(): Promise<void> {
    const { bridgeName, subnet } = this.#config;
    const table = this.#table;
    const tables = `
table ip ${table} {}
delete table ip ${table}
table bridge ${table} {}
delete table bridge ${table}
table ip ${table} {
  map tcp_any { type inet_service : ipv4_addr . inet_service; }
  map udp_any { type inet_service : ipv4_addr . inet_service; }
  map tcp_at { type ipv4_addr . inet_service : ipv4_addr . inet_service; }
  map udp_at { type ipv4_addr . inet_service : ipv4_addr . inet_service; }
  chain ports {
    dnat ip to ip daddr . tcp dport map @tcp_at
    dnat ip to ip daddr . udp dport map @udp_at
    dnat ip to tcp dport map @tcp_any
    dnat ip to udp dport map @udp_any
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump ports
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump ports
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${subnet} oifname != "${bridgeName}" masquerade
    ip saddr ${subnet} oifname "${bridgeName}" ct status dnat masquerade
    ip saddr 127.0.0.0/8 oifname "${bridgeName}" masquerade
  }
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iifname "${bridgeName}" ip daddr 127.0.0.0/8 drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${bridgeName}" accept
    oifname "${bridgeName}" ct state established,related accept
    oifname "${bridgeName}" ct status dnat accept
    oifname "${bridgeName}" drop
  }
}
table bridge ${table} {
  set ports { type ifname; }
  set identities { type ifname . ether_addr . ipv4_addr; }
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname @ports jump spoof
  }
  chain spoof {
    ether type ip iifname . ether saddr . ip saddr @identities accept
    ether type arp iifname . arp saddr ether . arp saddr ip @identities accept
    drop
  }
}`;
    await nft([tables]);
  }

  async uninstall(): Promise<void> {
    await nft([`delete table ip ${this.#table}`, `delete table bridge ${this.#table}`]);
  }

  /** Drops whatever comes from a TAP, unless it is sent as this. null: until an endpoint says as what. */
  async guard(tapName: string, identity: Identity | null): Promise<void> {
    await nft(this.#tap('add', tapName, identity));
  }

  async unguard(tapName: string, identity: Identity | null): Promise<void> {
    await nft(this.#tap('delete', tapName, identity));
  }

  /** The TAP stays guarded, and may send as nobody. */
  async silence(tapName: string, identity: Identity): Promise<void> {
    await nft([this.#identity('delete', tapName, identity)]);
  }

  /** The TAP is guarded, too. */
  async add(endpoint: EndpointRecord): Promise<void> {
    const { tapName } = endpoint;
    await nft([
      ...this.#tap('add', tapName, identityOf(endpoint)),
      ...this.#ports('add', endpoint),
    ]);
  }

  /** The TAP stays guarded. */
  async remove(endpoint: EndpointRecord): Promise<void> {
    const identity = this.#identity('delete', endpoint.tapName, identityOf(endpoint));
    await nft([identity, ...this.#ports('delete', endpoint)]);
  }

  /** For a TAP that was guarded with an identity: that becomes the endpoint's, and stays when the ports go. */
  async publish(endpoint: EndpointRecord, former: Identity): Promise<void> {
    const { tapName } = endpoint;
    const identity = identityOf(endpoint);
    const change = [
      this.#identity('delete', tapName, former),
      this.#identity('add', tapName, identity),
    ];
    const isSame = former.macAddress === identity.macAddress;
    await nft([...(isSame ? [] : change), ...this.#ports('add', endpoint)]);
  }

  async unpublish(endpoint: EndpointRecord): Promise<void> {
    await nft(this.#ports('delete', endpoint));
  }

  #tap(verb: Verb, tapName: string, identity: Identity | null): readonly string[] {
    const guard = `${verb} element bridge ${this.#table} ports { "${tapName}" }`;
    return identity === null ? [guard] : [guard, this.#identity(verb, tapName, identity)];
  }

  #identity(verb: Verb, tapName: string, { macAddress, address }: Identity): string {
    const element = `"${tapName}" . ${macAddress} . ${address}`;
    return `${verb} element bridge ${this.#table} identities { ${element} }`;
  }

  #ports(verb: Verb, endpoint: EndpointRecord): readonly string[] {
    const { address } = identityOf(endpoint);
    return endpoint.ports.filter(isIpv4).map((port) => {
      const isAny = port.hostAddress === '' || port.hostAddress === '0.0.0.0';
      const map = `${port.protocol}_${isAny ? 'any' : 'at'}`;
      const key = `${isAny ? '' : `${port.hostAddress} . `}${String(port.hostPort)}`;
      const target = `${address} . ${String(port.containerPort)}`;
      return `${verb} element ip ${this.#table} ${map} { ${key} : ${target} }`;
    });
  }
}

type Verb = 'add' | 'delete';

function identityOf({ macAddress, address }: EndpointRecord): Identity {
  return { macAddress, address: address.split('/', 1)[0] ?? '' };
}

function isIpv4(port: PortBinding): boolean {
  return !port.hostAddress.includes(':');
}

/** In one transaction; nothing is run for nothing. */
async function nft(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await run('nft', ['-f', '-'], { input: `${lines.join('\n')}\n` });
}
