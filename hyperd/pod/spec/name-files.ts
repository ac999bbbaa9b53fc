import { isIP } from 'node:net';

import { HyperError } from '../../base/error.ts';
import type { HostConfig } from '../docker-config.ts';

export interface HostEntry {
  readonly name: string;
  /** An address, or `host-gateway`: the host as the pod sees it. */
  readonly address: string;
}

export interface DnsSettings {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

export interface HostsFileContext {
  readonly hostname: string;
  readonly domainname: string;
  readonly extraHosts: readonly HostEntry[];
  /** null without a network. */
  readonly address: string | null;
  readonly gateway: string | null;
}

const localEntries = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];
const fallbackServers = ['8.8.8.8', '8.8.4.4'];

/** Reads `--add-host` entries: `name:address`, also with `=`. */
export function parseExtraHosts(entries: readonly string[]): readonly HostEntry[] {
  return entries.map((entry) => {
    const at = entry.includes('=') ? entry.indexOf('=') : entry.indexOf(':');
    const name = entry.slice(0, Math.max(0, at));
    if (name === '' || /\s/.test(name)) {
      throw new HyperError('INVALID_ARGUMENT', `bad format for add-host: ${JSON.stringify(entry)}`);
    }
    const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
    if (address !== 'host-gateway' && isIP(address) === 0) {
      const quoted = JSON.stringify(address);
      throw new HyperError('INVALID_ARGUMENT', `invalid IP address in add-host: ${quoted}`);
    }
    return { name, address };
  });
}

/** Reads `--dns`, `--dns-search` and `--dns-option`. */
export function parseDns(host: HostConfig): DnsSettings {
  const servers = host.Dns ?? [];
  for (const server of servers) {
    if (isIP(server) === 0) {
      throw new HyperError('INVALID_ARGUMENT', `invalid IP address in DNS server: "${server}"`);
    }
  }
  const words = [...(host.DnsSearch ?? []), ...(host.DnsOptions ?? [])];
  const bad = words.find((word) => /\s/.test(word));
  if (bad !== undefined) {
    throw new HyperError('INVALID_ARGUMENT', `invalid DNS setting ${JSON.stringify(bad)}`);
  }
  return { servers, search: host.DnsSearch ?? [], options: host.DnsOptions ?? [] };
}

/** Contents of the container's /etc/hosts. */
export function renderHostsFile(context: HostsFileContext): string {
  const { hostname, domainname, address, gateway } = context;
  const extra = context.extraHosts.map(({ name, address: target }) => {
    if (target !== 'host-gateway') return `${target}\t${name}`;
    if (gateway === null) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        `unable to derive the IP value for host-gateway (${name}): the container has no network`,
      );
    }
    return `${gateway}\t${name}`;
  });
  const names = domainname === '' ? hostname : `${hostname}.${domainname} ${hostname}`;
  const own = address === null ? [] : [`${address}\t${names}`];
  return `${[...localEntries, ...extra, ...own].join('\n')}\n`;
}

/**
 * Contents of /etc/resolv.conf: the host's, without servers that only the host reaches, overridden by
 * the container's settings. A search of `.` means none.
 */
export function renderResolvConf(hostFile: string, dns: DnsSettings): string {
  const found = parseResolvConf(hostFile);
  const usable = found.servers.filter((server) => !/^(127\.|::1$)/.test(server));
  const servers = pick(dns.servers, usable.length > 0 ? usable : fallbackServers);
  const search = pick(dns.search, found.search).filter((domain) => domain !== '.');
  const options = pick(dns.options, found.options);
  return [
    ...servers.map((server) => `nameserver ${server}\n`),
    search.length > 0 ? `search ${search.join(' ')}\n` : '',
    options.length > 0 ? `options ${options.join(' ')}\n` : '',
  ].join('');
}

function pick(own: readonly string[], inherited: readonly string[]): readonly string[] {
  return own.length > 0 ? own : inherited;
}

function parseResolvConf(text: string): DnsSettings {
  const values = (keyword: string): string[][] =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([word]) => word === keyword)
      .map(([, ...rest]) => rest);
  return {
    servers: values('nameserver').flatMap(([server]) => (server === undefined ? [] : [server])),
    search: values('search').at(-1) ?? [],
    options: values('options').flat(),
  };
}
