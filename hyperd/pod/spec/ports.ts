import { isIP } from 'node:net';

import { HyperError } from '../../base/error.ts';
import type { PortBinding } from '../../network/network-manager.ts';
import type { ContainerConfig, HostConfig, HostPort } from '../docker-config.ts';

interface ContainerPort {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** The host ports that a create request publishes; 0 stands for any free one. */
export function parsePortBindings(
  config: ContainerConfig,
  host: HostConfig,
): readonly PortBinding[] {
  const explicit = Object.entries(host.PortBindings ?? {}).flatMap(([spec, bindings]) =>
    parseContainerPorts(spec).flatMap((port) => bindingsOf(port, bindings ?? [], spec)),
  );
  if (host.PublishAllPorts !== true) return explicit;
  const bound = new Set(
    explicit.map(({ protocol, containerPort }) => key(protocol, containerPort)),
  );
  const exposed = Object.keys(config.ExposedPorts ?? {})
    .flatMap(parseContainerPorts)
    .filter(({ protocol, port }) => !bound.has(key(protocol, port)))
    .map(({ protocol, port }) => binding({ protocol, port }, '', 0));
  return [...explicit, ...exposed];
}

/** Checks the ports that a config exposes. */
export function assertExposedPorts(config: ContainerConfig): void {
  for (const spec of Object.keys(config.ExposedPorts ?? {})) parseContainerPorts(spec);
}

function bindingsOf(
  port: ContainerPort,
  bindings: readonly HostPort[],
  spec: string,
): readonly PortBinding[] {
  const wanted = bindings.length === 0 ? [{}] : bindings;
  return wanted.map(({ HostIp: address = '', HostPort: hostPort = '' }: HostPort) => {
    if (address !== '' && isIP(address) === 0) {
      throw new HyperError('INVALID_ARGUMENT', `invalid IP address: ${address}`);
    }
    return binding(port, address, parseHostPort(hostPort, spec));
  });
}

/** Docker also takes a range here, of which it picks a free port. */
function parseHostPort(text: string, spec: string): number {
  if (text === '') return 0;
  if (/^\d{1,5}-\d{1,5}$/.test(text)) {
    throw new HyperError(
      'UNSUPPORTED',
      `not supported by Hyper yet: a range of host ports for one container port (${text} for ${spec})`,
    );
  }
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new HyperError('INVALID_ARGUMENT', `invalid port specification: "${text}"`);
  }
  return port;
}

function parseContainerPorts(spec: string): readonly ContainerPort[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-z]+))?$/.exec(spec.toLowerCase());
  const first = Number(match?.[1]);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (match === null || first < 1 || last < first || last > 65_535) {
    throw new HyperError('INVALID_ARGUMENT', `invalid port specification: "${spec}"`);
  }
  const protocol = match[3] ?? 'tcp';
  if (protocol === 'sctp') {
    throw new HyperError('UNSUPPORTED', `not supported by Hyper yet: SCTP ports (${spec})`);
  }
  if (protocol !== 'tcp' && protocol !== 'udp') {
    throw new HyperError('INVALID_ARGUMENT', `invalid port specification: "${spec}"`);
  }
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    protocol,
    port: first + index,
  }));
}

function binding(
  { protocol, port }: ContainerPort,
  hostAddress: string,
  hostPort: number,
): PortBinding {
  return { protocol, containerPort: port, hostAddress, hostPort };
}

function key(protocol: string, port: number): string {
  return `${String(port)}/${protocol}`;
}
