import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type {
  ContainerConfig as AgentContainerConfig,
  PodConfig,
  ProcessConfig,
  StartParams,
  StdioStreams,
} from '../../hyperstart/protocol/message.ts';
import type { EndpointRecord } from '../network/network-manager.ts';
import { seccompProgram } from './seccomp/program.ts';
import type { ContainerSpec } from './spec/container-spec.ts';
import { deviceRules } from './spec/device-rules.ts';
import { renderHostsFile, renderResolvConf } from './spec/name-files.ts';

export interface StartRequest {
  readonly containerId: string;
  readonly spec: ContainerSpec;
  /** Serials by which the guest finds the disks. */
  readonly rootfs: { readonly layers: readonly string[]; readonly writableDisk: string };
  readonly endpoint: EndpointRecord | null;
  /** By this the guest finds its NIC, when it has an endpoint. */
  readonly deviceMacAddress: string;
  readonly streams: StdioStreams;
  readonly consoleSize: { readonly rows: number; readonly columns: number } | null;
  /** Text of the host's resolv.conf. */
  readonly hostResolvConf: string;
  /** Name servers of the daemon's configuration. */
  readonly dns: readonly string[];
}

const entropyBytes = 64;
const resolvConfPath = '/etc/resolv.conf';
/** What systemd-resolved itself asks, where resolv.conf only names its local stub. */
const resolvedUpstreamPath = '/run/systemd/resolve/resolv.conf';

/** The one request of the start path. */
export function toStartParams(request: StartRequest): StartParams {
  return { pod: podConfig(request), container: containerConfig(request) };
}

function podConfig({ spec, endpoint, deviceMacAddress }: StartRequest): PodConfig {
  const interfaceName = 'eth0';
  return {
    hostname: spec.hostname,
    clockUnixMs: Date.now(),
    entropy: randomBytes(entropyBytes).toString('base64'),
    interfaces:
      endpoint === null
        ? []
        : [
            {
              name: interfaceName,
              macAddress: endpoint.macAddress,
              deviceMacAddress,
              mtu: endpoint.mtu,
              addresses: [endpoint.address],
            },
          ],
    routes:
      endpoint === null
        ? []
        : [{ destination: '0.0.0.0/0', gateway: endpoint.gateway, interfaceName }],
  };
}

function containerConfig(request: StartRequest): AgentContainerConfig {
  const { spec, containerId, endpoint } = request;
  const { hostname, domainname, extraHosts } = spec;
  const servers = spec.dns.servers.length > 0 ? spec.dns.servers : request.dns;
  return {
    id: containerId,
    rootfs: { ...request.rootfs, readOnly: spec.readOnlyRootfs },
    hostname,
    domainname,
    hostsFile: renderHostsFile({
      ...{ hostname, domainname, extraHosts },
      address: endpoint?.address.split('/', 1)[0] ?? null,
      gateway: endpoint?.gateway ?? null,
    }),
    resolvConfFile: renderResolvConf(request.hostResolvConf, { ...spec.dns, servers }),
    mounts: spec.mounts,
    shmSizeBytes: spec.shmSizeBytes,
    sysctls: spec.sysctls,
    resources: spec.resources,
    deviceRules: deviceRules(spec.privileged),
    maskedPaths: spec.maskedPaths,
    readonlyPaths: spec.readonlyPaths,
    privileged: spec.privileged,
    privateCgroupNamespace: spec.privateCgroupNamespace,
    init: spec.init,
    process: processConfig(request),
  };
}

function processConfig({ spec, streams, consoleSize }: StartRequest): ProcessConfig {
  return {
    args: spec.args,
    env: spec.env,
    cwd: spec.cwd,
    user: spec.user,
    additionalGroups: spec.additionalGroups,
    tty: spec.tty,
    consoleSize,
    capabilities: spec.capabilities,
    noNewPrivileges: spec.noNewPrivileges,
    seccompProgram: seccompProgram(spec),
    rlimits: spec.rlimits,
    oomScoreAdj: spec.oomScoreAdj,
    streams,
  };
}

/** The host's own resolver settings, as far as containers can use them; '' when there are none. */
export async function readHostResolvConf(): Promise<string> {
  const own = await readFile(resolvConfPath, 'utf8').catch(() => '');
  const isStub = /^nameserver\s+127\.0\.0\.53\s*$/m.test(own);
  return isStub ? await readFile(resolvedUpstreamPath, 'utf8').catch(() => own) : own;
}
