import type { Resources, Rlimit, TmpfsMount } from '../../../hyperstart/protocol/message.ts';
import { HyperError } from '../../base/error.ts';
import type { PortBinding } from '../../network/network-manager.ts';
import type { ContainerConfig, HostConfig, Ulimit } from '../docker-config.ts';
import { selectCapabilities } from './capabilities.ts';
import { containerEnvironment } from './environment.ts';
import { type DnsSettings, type HostEntry, parseDns, parseExtraHosts } from './name-files.ts';
import { assertExposedPorts, parsePortBindings } from './ports.ts';
import { defaultMaskedPaths, defaultReadonlyPaths } from './protected-paths.ts';
import { type HostCapacity, type MachineSize, machineSize, parseResources } from './resources.ts';
import { parseRestartPolicy, type RestartPolicy } from './restart-policy.ts';
import { parseSecurityOptions, type SeccompChoice } from './security-options.ts';
import { parseSignal } from './signals.ts';
import { mebibyte, parseSize } from './sizes.ts';

/** A container as the pod runs it: the user's request after merging and checking. */
export interface ContainerSpec {
  /** The command line; at least one word. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly additionalGroups: readonly string[];
  readonly tty: boolean;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  /** null: nothing is filtered. */
  readonly seccomp: Exclude<SeccompChoice, { kind: 'unconfined' }> | null;
  readonly rlimits: readonly Rlimit[];
  readonly oomScoreAdj: number;
  readonly hostname: string;
  readonly domainname: string;
  readonly extraHosts: readonly HostEntry[];
  readonly dns: DnsSettings;
  readonly network: 'bridge' | 'none';
  readonly macAddress: string | null;
  readonly ports: readonly PortBinding[];
  readonly mounts: readonly TmpfsMount[];
  readonly shmSizeBytes: number;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly machine: MachineSize;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly privileged: boolean;
  readonly privateCgroupNamespace: boolean;
  readonly init: boolean;
  readonly readOnlyRootfs: boolean;
  readonly diskSizeBytes: number;
  readonly log: { readonly driver: string; readonly options: Readonly<Record<string, string>> };
  readonly restart: RestartPolicy;
  readonly stopSignal: number;
  readonly stopTimeoutSeconds: number;
}

/** Of a container's writable disk. */
export const defaultDiskBytes = 10 * 1024 * mebibyte;
const minimumDiskBytes = 32 * mebibyte;
const defaultShmBytes = 64 * mebibyte;
const defaultStopSeconds = 10;

/** Turns a merged config into a spec. Rejects INVALID_ARGUMENT or UNSUPPORTED with Docker's messages. */
export function toContainerSpec(
  config: ContainerConfig,
  host: HostConfig,
  capacity: HostCapacity,
): ContainerSpec {
  const resources = parseResources(host, capacity);
  assertExposedPorts(config);
  return {
    ...processPart(config, host),
    ...securityPart(host),
    ...networkPart(config, host),
    mounts: parseTmpfs(host.Tmpfs ?? {}),
    shmSizeBytes: parseShmSize(host),
    sysctls: host.Sysctls ?? {},
    resources,
    machine: machineSize(resources, capacity),
    init: host.Init ?? false,
    readOnlyRootfs: host.ReadonlyRootfs ?? false,
    diskSizeBytes: parseDiskSize(host.StorageOpt ?? {}),
    log: { driver: host.LogConfig?.Type ?? '', options: host.LogConfig?.Config ?? {} },
    restart: parseRestartPolicy(host),
    stopSignal: parseSignal(config.StopSignal ? config.StopSignal : 'TERM'),
    stopTimeoutSeconds: config.StopTimeout ?? defaultStopSeconds,
  };
}

type ProcessPart =
  | 'args'
  | 'env'
  | 'cwd'
  | 'user'
  | 'additionalGroups'
  | 'tty'
  | 'openStdin'
  | 'stdinOnce'
  | 'rlimits'
  | 'oomScoreAdj';

function processPart(config: ContainerConfig, host: HostConfig): Pick<ContainerSpec, ProcessPart> {
  const args = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (args.length === 0) throw new HyperError('INVALID_ARGUMENT', 'no command specified');
  const oomScoreAdj = host.OomScoreAdj ?? 0;
  if (oomScoreAdj < -1000 || oomScoreAdj > 1000) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `Invalid value ${String(oomScoreAdj)}, range for oom score adj is [-1000, 1000]`,
    );
  }
  const tty = config.Tty ?? false;
  return {
    args,
    env: containerEnvironment(config.Hostname ?? '', tty, config.Env ?? []),
    cwd: parseWorkingDirectory(config.WorkingDir ?? ''),
    user: config.User ?? '',
    additionalGroups: host.GroupAdd ?? [],
    tty,
    openStdin: config.OpenStdin ?? false,
    stdinOnce: config.StdinOnce ?? false,
    rlimits: withDefaultLimits((host.Ulimits ?? []).map(toRlimit)),
    oomScoreAdj,
  };
}

type SecurityPart =
  | 'capabilities'
  | 'noNewPrivileges'
  | 'seccomp'
  | 'maskedPaths'
  | 'readonlyPaths'
  | 'privileged'
  | 'privateCgroupNamespace';

function securityPart(host: HostConfig): Pick<ContainerSpec, SecurityPart> {
  const privileged = host.Privileged ?? false;
  const options = parseSecurityOptions(host.SecurityOpt ?? []);
  const add = host.CapAdd ?? [];
  const drop = host.CapDrop ?? [];
  const openPaths = privileged || options.unconfinedPaths;
  assertNamespaceModes(host);
  return {
    capabilities: selectCapabilities({ add, drop, privileged }),
    noNewPrivileges: options.noNewPrivileges,
    seccomp: chooseSeccomp(options.seccomp, privileged),
    maskedPaths: openPaths ? [] : (host.MaskedPaths ?? defaultMaskedPaths),
    readonlyPaths: openPaths ? [] : (host.ReadonlyPaths ?? defaultReadonlyPaths),
    privileged,
    privateCgroupNamespace: host.CgroupnsMode !== 'host',
  };
}

/** Privileged means unfiltered, unless a profile is asked for by name. */
function chooseSeccomp(choice: SeccompChoice, privileged: boolean): ContainerSpec['seccomp'] {
  if (choice.kind === 'unconfined') return null;
  return choice.kind === 'default' && privileged ? null : choice;
}

function assertNamespaceModes({ CgroupnsMode: cgroup = '', IpcMode: ipc = '' }: HostConfig): void {
  if (!['', 'private', 'host'].includes(cgroup)) {
    throw new HyperError('INVALID_ARGUMENT', `invalid cgroup namespace mode: ${cgroup}`);
  }
  if (!['', 'private', 'shareable'].includes(ipc)) {
    throw new HyperError(
      'UNSUPPORTED',
      `not supported by Hyper yet: HostConfig.IpcMode "${ipc}" (--ipc)`,
    );
  }
}

type NetworkPart =
  'hostname' | 'domainname' | 'extraHosts' | 'dns' | 'network' | 'macAddress' | 'ports';

function networkPart(config: ContainerConfig, host: HostConfig): Pick<ContainerSpec, NetworkPart> {
  const network = parseNetworkMode(host.NetworkMode ?? '');
  const macAddress = config.MacAddress ?? '';
  if (macAddress !== '' && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(macAddress)) {
    throw new HyperError('INVALID_ARGUMENT', `invalid MAC address: ${macAddress}`);
  }
  const ports = parsePortBindings(config, host);
  return {
    hostname: config.Hostname ?? '',
    domainname: config.Domainname ?? '',
    extraHosts: parseExtraHosts(host.ExtraHosts ?? []),
    dns: parseDns(host),
    network,
    macAddress: macAddress === '' ? null : macAddress.toLowerCase(),
    // Docker takes ports of a container without a network, and publishes none.
    ports: network === 'none' ? [] : ports,
  };
}

function parseNetworkMode(mode: string): 'bridge' | 'none' {
  if (mode === '' || mode === 'default' || mode === 'bridge') return 'bridge';
  if (mode === 'none') return 'none';
  throw new HyperError(
    'UNSUPPORTED',
    `not supported by Hyper yet: HostConfig.NetworkMode "${mode}" (--network); use bridge or none`,
  );
}

/** The absolute form of a working directory, `/` when none is given. */
export function parseWorkingDirectory(path: string): string {
  if (path === '') return '/';
  if (!path.startsWith('/')) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `the working directory '${path}' is invalid, it needs to be an absolute path`,
    );
  }
  return path;
}

function toRlimit({ Name: type, Soft: soft, Hard: hard }: Ulimit): Rlimit {
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    const values = `${String(soft)} > ${String(hard)}`;
    const message = `ulimit soft limit must be less than or equal to hard limit: ${values}`;
    throw new HyperError('INVALID_ARGUMENT', message);
  }
  return { type: type.toLowerCase(), soft, hard };
}

function parseTmpfs(tmpfs: Readonly<Record<string, string>>): readonly TmpfsMount[] {
  return Object.entries(tmpfs).map(([target, options]) => {
    if (!target.startsWith('/')) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        `invalid mount path: '${target}' mount path must be absolute`,
      );
    }
    return { type: 'tmpfs', target, options: options.split(',').filter((word) => word !== '') };
  });
}

function parseShmSize({ ShmSize: bytes = 0 }: HostConfig): number {
  if (bytes < 0) throw new HyperError('INVALID_ARGUMENT', 'SHM size can not be less than 0');
  return bytes === 0 ? defaultShmBytes : bytes;
}

function parseDiskSize(options: Readonly<Record<string, string>>): number {
  for (const [name, value] of Object.entries(options)) {
    if (name.toLowerCase() !== 'size') {
      throw new HyperError('INVALID_ARGUMENT', `Unknown storage option: ${name}`);
    }
    // Whole mebibytes: a disk's size is a multiple of its block size.
    const bytes = Math.ceil(parseSize(value, '--storage-opt size') / mebibyte) * mebibyte;
    if (bytes < minimumDiskBytes) {
      throw new HyperError('INVALID_ARGUMENT', `Storage size ${value} is too small: at least 32M`);
    }
    return bytes;
  }
  return defaultDiskBytes;
}

/** Open files, as a Docker daemon started by systemd gives to its containers. */
const defaultOpenFiles: Rlimit = { type: 'nofile', soft: 1_048_576, hard: 1_048_576 };

function withDefaultLimits(rlimits: readonly Rlimit[]): readonly Rlimit[] {
  const isGiven = rlimits.some(({ type }) => type === defaultOpenFiles.type);
  return isGiven ? rlimits : [defaultOpenFiles, ...rlimits];
}
