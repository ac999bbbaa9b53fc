import type { Static } from 'typebox';

import { HyperError } from '../base/error.ts';
import type { CreateRequest } from '../pod/container-service.ts';
import type { ContainerConfig, HostConfig } from '../pod/docker-config.ts';
import { parsePlatform } from './platform.ts';
import { compileSchema } from './schema/compile.ts';
import { CreateBody, type CreateQuery } from './schema/container.ts';
import { textParameter } from './schema/query.ts';
import { assertCreateSupported } from './unsupported.ts';

type Body = Static<typeof CreateBody>;

const defaultNetworks = ['default', 'bridge'];

/** Reads `POST /containers/create`: refuses by name what Hyper does not honour, drops what nobody knows. */
export function parseCreateRequest(
  body: unknown,
  query: Static<typeof CreateQuery>,
): CreateRequest {
  if (typeof body !== 'object' || body === null) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      'config cannot be empty in order to create a container',
    );
  }
  assertCreateSupported(body);
  const parsed = compileSchema(CreateBody)(body) as Body;
  const { HostConfig: hostBody = {}, NetworkingConfig: networking, ...configBody } = parsed;
  const hostConfig = toHostConfig(hostBody);
  const networkMode = checkedNetworkMode(hostConfig.NetworkMode ?? '');
  const macAddress = endpointMacAddress(networking, networkMode);
  const platform = textParameter(query.platform);
  return {
    name: textParameter(query.name) || null,
    platform: platform === '' ? null : parsePlatform(platform),
    config: toContainerConfig(configBody, macAddress),
    hostConfig,
  };
}

function toContainerConfig(
  body: Omit<Body, 'HostConfig' | 'NetworkingConfig'>,
  macAddress: string,
): ContainerConfig {
  const { Cmd, Entrypoint, Image = '', ...rest } = body;
  return {
    ...rest,
    Image,
    ...(Cmd === undefined ? {} : { Cmd: toWords(Cmd) }),
    ...(Entrypoint === undefined ? {} : { Entrypoint: toWords(Entrypoint) }),
    ...(macAddress === '' ? {} : { MacAddress: macAddress }),
  };
}

function toHostConfig(body: NonNullable<Body['HostConfig']>): HostConfig {
  const { CapAdd, CapDrop, ...rest } = body;
  return {
    ...rest,
    ...(CapAdd === undefined ? {} : { CapAdd: toWords(CapAdd) }),
    ...(CapDrop === undefined ? {} : { CapDrop: toWords(CapDrop) }),
  };
}

function checkedNetworkMode(mode: string): string {
  if (mode === '' || mode === 'none' || defaultNetworks.includes(mode)) {
    return mode === '' ? 'default' : mode;
  }
  // Not NOT_FOUND for a network's name: the docker CLI takes that for a missing image and pulls.
  throw new HyperError(
    'UNSUPPORTED',
    `not supported by Hyper yet: HostConfig.NetworkMode "${mode}" (--network); use bridge or none`,
  );
}

function endpointMacAddress(networking: Body['NetworkingConfig'], networkMode: string): string {
  let macAddress = '';
  for (const [network, endpoint] of Object.entries(networking?.EndpointsConfig ?? {})) {
    const isOurs =
      network === networkMode ||
      (defaultNetworks.includes(network) && defaultNetworks.includes(networkMode));
    if (!isOurs) {
      checkedNetworkMode(network);
      throw new HyperError(
        'UNSUPPORTED',
        `not supported by Hyper yet: NetworkingConfig.EndpointsConfig.${network} beside network ${networkMode}`,
      );
    }
    assertPlainEndpoint(endpoint, network);
    macAddress = endpoint?.MacAddress ?? '';
  }
  return macAddress;
}

type Endpoint = NonNullable<NonNullable<Body['NetworkingConfig']>['EndpointsConfig']>[string];

/** The refusals that Docker itself gives for its default network. */
function assertPlainEndpoint(endpoint: Endpoint, network: string): void {
  const field = `NetworkingConfig.EndpointsConfig.${network}`;
  if ((endpoint?.Aliases?.length ?? 0) > 0) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      'network-scoped alias is supported only for containers in user defined networks',
    );
  }
  const { IPv4Address, IPv6Address, LinkLocalIPs } = endpoint?.IPAMConfig ?? {};
  if ([IPv4Address, IPv6Address].some((address) => typeof address === 'string' && address !== '')) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      'user specified IP address is supported on user defined networks only',
    );
  }
  const refused = [
    Array.isArray(LinkLocalIPs) && LinkLocalIPs.length > 0
      ? `${field}.IPAMConfig.LinkLocalIPs`
      : '',
    (endpoint?.Links?.length ?? 0) > 0 ? `${field}.Links` : '',
    Object.keys(endpoint?.DriverOpts ?? {}).length > 0 ? `${field}.DriverOpts` : '',
  ].filter((name) => name !== '');
  if (refused.length > 0) {
    throw new HyperError('UNSUPPORTED', `not supported by Hyper yet: ${refused.join(', ')}`);
  }
}

/** Docker takes one word for a list of one. */
export function toWords(words: string | readonly string[]): readonly string[] {
  return typeof words === 'string' ? [words] : words;
}
