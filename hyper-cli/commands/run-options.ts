import { readFileSync } from 'node:fs';

import type { Command } from 'commander';

import { CliError } from '../cli-error.ts';
import { ownEnvironment } from '../config.ts';
import type { RunRequest } from '../run-request-text.ts';
import { collect, type RunFlag, runFlags } from './run-flags.ts';

/** The flags of `run` and `create`, as commander parses them. */
export interface RunOptions {
  readonly name?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  /** Of `run` alone. */
  readonly timeline?: boolean;
  readonly rm?: boolean;
  readonly detachKeys?: string;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly publish?: readonly string[];
  readonly publishAll?: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly entrypoint?: string;
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly cpus?: string;
  readonly cpuShares?: string;
  readonly pidsLimit?: string;
  readonly ulimit?: readonly string[];
  readonly shmSize?: string;
  readonly sysctl?: readonly string[];
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly privileged?: boolean;
  readonly securityOpt?: readonly string[];
  readonly readOnly?: boolean;
  readonly groupAdd?: readonly string[];
  readonly init?: boolean;
  readonly tmpfs?: readonly string[];
  readonly hostname?: string;
  readonly domainname?: string;
  readonly addHost?: readonly string[];
  readonly dns?: readonly string[];
  readonly label?: readonly string[];
  readonly stopSignal?: string;
  readonly stopTimeout?: string;
  readonly platform?: string;
  readonly pull: string;
  readonly storageOpt?: readonly string[];
  readonly logDriver?: string;
  readonly logOpt?: readonly string[];
  readonly network?: string;
}

/** Adds what `run` and `create` have in common. */
export function withRunOptions(command: Command): Command {
  return withFlags(command, runFlags);
}

/** Adds flags as they are written down. */
export function withFlags(command: Command, flags: readonly RunFlag[]): Command {
  for (const { flag, text, isList, initial } of flags) {
    if (isList === true) command.option(flag, text, collect);
    else command.option(flag, text, initial);
  }
  return command;
}

/** What a run in the foreground asks for. */
export function runRequest(
  image: string,
  command: readonly string[],
  options: RunOptions,
): RunRequest {
  const { name, platform, detachKeys } = options;
  return { query: { name, platform, detachKeys }, body: createBody(image, command, options) };
}

/** The body of `POST /containers/create`. */
export function createBody(image: string, command: readonly string[], options: RunOptions): object {
  const isForeground = options.detach !== true;
  const stdin = options.interactive === true;
  return {
    Image: image,
    ...(command.length === 0 ? {} : { Cmd: command }),
    ...optional('Entrypoint', options.entrypoint === undefined ? undefined : [options.entrypoint]),
    ...optional('User', options.user),
    ...optional('WorkingDir', options.workdir),
    ...optional('Hostname', options.hostname),
    ...optional('Domainname', options.domainname),
    ...optional('StopSignal', options.stopSignal),
    ...optional('StopTimeout', numberOf('--stop-timeout', options.stopTimeout)),
    Env: environment(options),
    Labels: pairs('--label', options.label),
    Tty: options.tty === true,
    OpenStdin: stdin,
    StdinOnce: stdin && isForeground,
    AttachStdin: stdin && isForeground,
    AttachStdout: isForeground,
    AttachStderr: isForeground,
    ExposedPorts: Object.fromEntries(
      (options.publish ?? []).map((port) => [parsePort(port).key, {}]),
    ),
    HostConfig: hostConfig(options),
  };
}

function hostConfig(options: RunOptions): object {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const text of options.publish ?? []) {
    const { key, binding } = parsePort(text);
    bindings[key] = [...(bindings[key] ?? []), binding];
  }
  const cpus = numberOf('--cpus', options.cpus);
  return {
    PortBindings: bindings,
    AutoRemove: options.rm === true,
    ...optional('PublishAllPorts', options.publishAll),
    ...optional('Memory', sizeOf('--memory', options.memory)),
    ...optional('MemorySwap', sizeOf('--memory-swap', options.memorySwap)),
    ...optional('NanoCpus', cpus === undefined ? undefined : Math.round(cpus * 1e9)),
    ...optional('CpuShares', numberOf('--cpu-shares', options.cpuShares)),
    ...optional('PidsLimit', numberOf('--pids-limit', options.pidsLimit)),
    ...optional('ShmSize', sizeOf('--shm-size', options.shmSize)),
    ...optional('Ulimits', options.ulimit?.map(parseUlimit)),
    ...optional('Sysctls', options.sysctl && pairs('--sysctl', options.sysctl)),
    ...optional('CapAdd', options.capAdd),
    ...optional('CapDrop', options.capDrop),
    ...optional('Privileged', options.privileged),
    ...optional('SecurityOpt', options.securityOpt),
    ...optional('ReadonlyRootfs', options.readOnly),
    ...optional('GroupAdd', options.groupAdd),
    ...optional('Init', options.init),
    ...optional('Tmpfs', options.tmpfs && Object.fromEntries(options.tmpfs.map(splitColon))),
    ...optional('ExtraHosts', options.addHost),
    ...optional('Dns', options.dns),
    ...optional('StorageOpt', options.storageOpt && pairs('--storage-opt', options.storageOpt)),
    ...optional('NetworkMode', options.network),
    ...(options.logDriver === undefined && options.logOpt === undefined
      ? {}
      : {
          LogConfig: { Type: options.logDriver ?? '', Config: pairs('--log-opt', options.logOpt) },
        }),
  };
}

/** `[address:][hostPort:]containerPort[/protocol]`. */
export function parsePort(text: string): {
  readonly key: string;
  readonly binding: { HostIp: string; HostPort: string };
} {
  const match = /^(?:(?:(\[[^\]]+\]|[^:/]*):)?(\d*):)?(\d+)(?:\/(tcp|udp))?$/.exec(text);
  if (match === null) {
    throw new CliError(`--publish: "${text}" is no port`, {
      hint: 'use -p 8080:80 or -p 127.0.0.1:53:53/udp',
    });
  }
  const [, address = '', hostPort = '', containerPort = '', protocol = 'tcp'] = match;
  const binding = { HostIp: address.replace(/^\[|\]$/g, ''), HostPort: hostPort };
  return { key: `${containerPort}/${protocol}`, binding };
}

function environment(options: RunOptions): readonly string[] {
  const fromFiles = (options.envFile ?? []).flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
  return [...fromFiles, ...(options.env ?? [])].map((entry) => {
    // A bare name passes on our own value, as docker does.
    const own = entry.includes('=') ? undefined : ownEnvironment()[entry];
    return own === undefined ? entry : `${entry}=${own}`;
  });
}

function parseUlimit(text: string): object {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null)
    throw new CliError(`--ulimit: "${text}" is no limit such as nofile=1024:2048`);
  const soft = Number(match[2]);
  return { Name: match[1], Soft: soft, Hard: match[3] === undefined ? soft : Number(match[3]) };
}

function pairs(flag: string, values: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(
    (values ?? []).map((text) => {
      const equals = text.indexOf('=');
      if (equals === 0) throw new CliError(`${flag}: "${text}" has no name`);
      return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function splitColon(text: string): [string, string] {
  const colon = text.indexOf(':');
  return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text === '' || !Number.isFinite(number))
    throw new CliError(`${flag}: "${text}" is no number`);
  return number;
}

/** Bytes of `512m`, `2g`, `1024`; -1 is unlimited. */
export function sizeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text === '-1') return -1;
  const match = /^(\d+(?:\.\d+)?)([bkmgt]?)b?$/i.exec(text);
  if (match === null) throw new CliError(`${flag}: "${text}" is no size such as 512m`);
  const power = 'bkmgt'.indexOf(match[2]?.toLowerCase() || 'b');
  return Math.floor(Number(match[1]) * 1024 ** power);
}

function optional<T>(name: string, value: T | undefined): Record<string, T> {
  return value === undefined ? {} : { [name]: value };
}
