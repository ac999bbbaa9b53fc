import { run } from '../base/subprocess.ts';
import type { EndpointRecord, PortBinding } from './network-manager.ts';

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
    await nft(`
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
}
`);
  }

  async uninstall(): Promise<void> {
    await nft(`delete table ip ${this.#table}\ndelete table bridge ${this.#table}\n`);
  }

  /** Drops whatever comes from a TAP until an endpoint says who may send there. */
  async guard(tapName: string): Promise<void> {
    await nft(this.#guardElement('add', tapName));
  }

  async unguard(tapName: string): Promise<void> {
    await nft(this.#guardElement('delete', tapName));
  }

  /** The TAP is guarded, too. */
  async add(endpoint: EndpointRecord): Promise<void> {
    await nft(this.#guardElement('add', endpoint.tapName) + this.#elements('add', endpoint));
  }

  /** The TAP stays guarded. */
  async remove(endpoint: EndpointRecord): Promise<void> {
    await nft(this.#elements('delete', endpoint));
  }

  #guardElement(verb: 'add' | 'delete', tapName: string): string {
    return `${verb} element bridge ${this.#table} ports { "${tapName}" }\n`;
  }

  #elements(verb: 'add' | 'delete', endpoint: EndpointRecord): string {
    const table = this.#table;
    const { tapName, macAddress } = endpoint;
    const [address = ''] = endpoint.address.split('/');
    const lines = [
      `${verb} element bridge ${table} identities { "${tapName}" . ${macAddress} . ${address} }`,
      ...endpoint.ports.filter(isIpv4).map((port) => {
        const isAny = port.hostAddress === '' || port.hostAddress === '0.0.0.0';
        const map = `${port.protocol}_${isAny ? 'any' : 'at'}`;
        const key = `${isAny ? '' : `${port.hostAddress} . `}${String(port.hostPort)}`;
        const target = `${address} . ${String(port.containerPort)}`;
        return `${verb} element ip ${table} ${map} { ${key} : ${target} }`;
      }),
    ];
    return `${lines.join('\n')}\n`;
  }
}

function isIpv4(port: PortBinding): boolean {
  return !port.hostAddress.includes(':');
}

async function nft(script: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: script });
}
