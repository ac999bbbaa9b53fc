import { createHash } from 'node:crypto';

import type { EndpointRecord, NetworkInfo, PortBinding } from '../../network/network-manager.ts';
import type { ContainerView } from '../../pod/container-service.ts';
import { zeroTime } from './render-time.ts';

type HostPortList = readonly { readonly HostIp: string; readonly HostPort: string }[];

/** The id of the network without any card; bridge has the network manager's. */
export const noneNetworkId = hashId('network none');

/** One entry of a container list's `Ports`. */
export interface PortSummary {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

/** `Ports` of a container list: published ports, then those that are only exposed. */
export function renderPortSummaries(container: ContainerView): PortSummary[] {
  const published = (container.endpoint?.ports ?? []).map((port) => ({
    IP: hostAddressOf(port),
    PrivatePort: port.containerPort,
    PublicPort: port.hostPort,
    Type: port.protocol,
  }));
  const exposed = exposedPorts(container)
    .map(([port, protocol]) => ({ PrivatePort: port, Type: protocol }))
    .filter(({ PrivatePort, Type }) =>
      published.every((port) => port.PrivatePort !== PrivatePort || port.Type !== Type),
    );
  return [...published, ...exposed];
}

/** `NetworkSettings` of inspect. */
export function renderNetworkSettings(
  container: ContainerView,
  bridge: NetworkInfo | null,
): object {
  const endpoint = container.endpoint;
  const settings = renderEndpoint(container, bridge);
  return {
    Bridge: '',
    SandboxID: endpoint === null ? '' : hashId(`sandbox ${container.id}`),
    SandboxKey: '',
    Ports: renderPortMap(container),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: settings.EndpointID,
    Gateway: settings.Gateway,
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress: settings.IPAddress,
    IPPrefixLen: settings.IPPrefixLen,
    IPv6Gateway: '',
    MacAddress: settings.MacAddress,
    Networks: { [container.networkMode]: settings },
  };
}

/** `NetworkSettings.Networks` of a container list. */
export function renderNetworks(container: ContainerView, bridge: NetworkInfo | null): object {
  return { [container.networkMode]: renderEndpoint(container, bridge) };
}

function renderEndpoint(container: ContainerView, bridge: NetworkInfo | null) {
  const endpoint = container.networkMode === 'none' ? null : container.endpoint;
  const [address = '', prefixLength = '0'] = endpoint?.address.split('/') ?? [];
  const isRunning = container.vm !== null;
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: null,
    MacAddress: endpoint?.macAddress ?? '',
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: container.networkMode === 'none' ? noneNetworkId : (bridge?.id ?? ''),
    EndpointID: isRunning ? endpointId(container) : '',
    Gateway: endpoint?.gateway ?? '',
    IPAddress: address,
    IPPrefixLen: Number(prefixLength),
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  };
}

/** The bridge network and `none`, as `GET /networks` answers them. */
export function renderAllNetworks(
  bridge: NetworkInfo | null,
  containers: readonly ContainerView[],
): readonly NetworkResource[] {
  const none: NetworkResource = {
    ...emptyNetwork,
    Name: 'none',
    Id: noneNetworkId,
    Driver: 'null',
    IPAM: { Driver: 'default', Options: null, Config: null },
    Containers: renderMembers(containers, 'none'),
  };
  if (bridge === null) {
    return [none];
  }
  return [
    {
      ...emptyNetwork,
      Name: 'bridge',
      Id: bridge.id,
      Driver: 'bridge',
      IPAM: {
        Driver: 'default',
        Options: null,
        Config: [{ Subnet: bridge.subnet, Gateway: bridge.gateway }],
      },
      Containers: renderMembers(containers, 'bridge'),
      Options: {
        'com.docker.network.bridge.default_bridge': 'true',
        'com.docker.network.bridge.enable_icc': 'true',
        'com.docker.network.bridge.enable_ip_masquerade': 'true',
        'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
        'com.docker.network.bridge.name': bridge.bridgeName,
        'com.docker.network.driver.mtu': String(bridge.mtu),
      },
    },
    none,
  ];
}

export interface NetworkResource {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly Containers: Readonly<Record<string, object>>;
  readonly [field: string]: unknown;
}

const emptyNetwork = {
  Created: zeroTime,
  Scope: 'local',
  EnableIPv4: true,
  EnableIPv6: false,
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Options: {},
  Labels: {},
};

function renderMembers(
  containers: readonly ContainerView[],
  networkMode: ContainerView['networkMode'],
): Record<string, object> {
  const members = containers.filter(
    (container) => container.networkMode === networkMode && container.vm !== null,
  );
  return Object.fromEntries(
    members.map((container) => [
      container.id,
      {
        Name: container.name,
        EndpointID: endpointId(container),
        MacAddress: container.endpoint?.macAddress ?? '',
        IPv4Address: container.endpoint?.address ?? '',
        IPv6Address: '',
      },
    ]),
  );
}

function renderPortMap(container: ContainerView): Record<string, HostPortList | null> {
  const ports: Record<string, HostPortList | null> = {};
  if (container.endpoint === null) {
    return ports;
  }
  for (const [port, protocol] of exposedPorts(container)) {
    ports[`${String(port)}/${protocol}`] = null;
  }
  for (const port of container.endpoint.ports) {
    const key = `${String(port.containerPort)}/${port.protocol}`;
    const hostPort = { HostIp: hostAddressOf(port), HostPort: String(port.hostPort) };
    ports[key] = [...(ports[key] ?? []), hostPort];
  }
  return ports;
}

function exposedPorts(container: ContainerView): [number, string][] {
  return container.endpoint === null
    ? []
    : Object.keys(container.effectiveConfig.ExposedPorts ?? {}).map((key) => {
        const [port = '', protocol = 'tcp'] = key.split('/');
        return [Number(port), protocol];
      });
}

function hostAddressOf(port: PortBinding): string {
  return port.hostAddress === '' ? '0.0.0.0' : port.hostAddress;
}

function endpointId(container: ContainerView): string {
  return hashId(`endpoint ${container.id} ${macOf(container.endpoint)}`);
}

function macOf(endpoint: EndpointRecord | null): string {
  return endpoint?.macAddress ?? '';
}

/** Docker shows 64 hex digits for things that Hyper has no id for: these stay the same for the same thing. */
function hashId(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
