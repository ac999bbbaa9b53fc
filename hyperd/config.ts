import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { parseArgs } from 'node:util';

import { HyperError, isErrno, messageOf } from './base/error.ts';

/** Everything that can be set about the daemon: by flag, else in the configuration file. */
export interface DaemonConfig {
  /** `unix:///path` and `tcp://address:port`. */
  readonly hosts: readonly string[];
  /** Group that may use the unix sockets; '' is root alone. */
  readonly group: string;
  readonly tlsCaCert: string;
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly mkfsErofs: string;
  readonly hypervisor: string;
  /** '' is the driver's own choice. */
  readonly qemu: string;
  readonly bridge: string;
  /** '' is the first private network that the host does not use. */
  readonly bridgeSubnet: string;
  readonly mtu: number;
  /** Name servers of containers; none: the host's. */
  readonly dns: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  /** Holds `<host[:port]>/ca.crt` for registries whose authority the host does not know. */
  readonly registryCerts: string;
  /** URL of a proxy for registries; '' is none. */
  readonly httpsProxy: string;
  readonly logLevel: LogLevel;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

export const defaultConfigFile = '/etc/hyper/hyperd.json';

interface Setting {
  readonly flag: string;
  readonly short?: string;
  /** Key of the configuration file; the flag's name when it is not a list. */
  readonly key: string;
  readonly list: boolean;
  readonly value: string;
  readonly help: string;
  readonly initial: string | readonly string[];
  /** Tells what is wrong with a value, null when it is fine. */
  readonly check?: (value: string) => string | null;
}

const text = (setting: Omit<Setting, 'key' | 'list'>): Setting => ({
  ...setting,
  key: setting.flag,
  list: false,
});
const list = (setting: Omit<Setting, 'list'>): Setting => ({ ...setting, list: true });

const isAbsolute = (value: string): string | null =>
  value.startsWith('/') ? null : 'must be an absolute path';
const isGiven = (value: string): string | null => (value === '' ? 'must be given' : null);

const settings = {
  hosts: list({
    flag: 'host',
    short: 'H',
    key: 'hosts',
    value: 'url',
    help: 'listen on unix:///path or tcp://address:port (TLS); may be repeated',
    initial: ['unix:///run/hyper/hyper.sock'],
    check: checkHost,
  }),
  group: text({
    flag: 'group',
    value: 'name',
    help: 'group that may use the unix socket; "" is root alone',
    initial: 'hyper',
  }),
  tlsCaCert: text({
    flag: 'tlscacert',
    value: 'file',
    help: 'clients on tcp:// must show a certificate of this authority',
    initial: '',
  }),
  tlsCert: text({ flag: 'tlscert', value: 'file', help: 'certificate for tcp://', initial: '' }),
  tlsKey: text({ flag: 'tlskey', value: 'file', help: 'its private key', initial: '' }),
  dataRoot: text({
    flag: 'data-root',
    value: 'directory',
    help: 'images, containers, records',
    initial: '/var/lib/hyper',
    check: isAbsolute,
  }),
  execRoot: text({
    flag: 'exec-root',
    value: 'directory',
    help: 'sockets of running VMs',
    initial: '/run/hyper',
    check: isAbsolute,
  }),
  kernel: text({
    flag: 'kernel',
    value: 'file',
    help: 'HyperKernel, an uncompressed vmlinux',
    initial: '/usr/lib/hyper/vmlinux',
    check: isGiven,
  }),
  initrd: text({
    flag: 'initrd',
    value: 'file',
    help: 'initramfs with hyperstart',
    initial: '/usr/lib/hyper/initrd',
    check: isGiven,
  }),
  mkfsErofs: text({
    flag: 'mkfs-erofs',
    value: 'program',
    help: 'mkfs.erofs that knows --tar',
    initial: 'mkfs.erofs',
    check: isGiven,
  }),
  hypervisor: text({
    flag: 'hypervisor',
    value: 'name',
    help: 'driver for the VMs',
    initial: 'qemu',
    check: isGiven,
  }),
  qemu: text({ flag: 'qemu', value: 'program', help: 'QEMU to run', initial: '' }),
  bridge: text({
    flag: 'bridge',
    value: 'name',
    help: 'bridge device of the containers',
    initial: 'hyper0',
    check: (value) =>
      /^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/.test(value) ? null : 'is not a name for a device',
  }),
  bridgeSubnet: text({
    flag: 'bridge-subnet',
    value: 'cidr',
    help: 'IPv4 network of the bridge',
    initial: '',
    check: checkSubnet,
  }),
  mtu: text({
    flag: 'mtu',
    value: 'bytes',
    help: 'largest packet on the bridge',
    initial: '1500',
    check: (value) =>
      /^\d+$/.test(value) && Number(value) >= 576 && Number(value) <= 65_520
        ? null
        : 'must be a number from 576 to 65520',
  }),
  dns: list({
    flag: 'dns',
    key: 'dns',
    value: 'address',
    help: 'name server of the containers; may be repeated',
    initial: [],
    check: (value) => (isIPv4(value) ? null : 'is not an IPv4 address'),
  }),
  registryMirrors: list({
    flag: 'registry-mirror',
    key: 'registry-mirrors',
    value: 'url',
    help: 'mirror of docker.io; may be repeated',
    initial: [],
    check: (value) =>
      /^https?:\/\/[^/]+\/?$/.test(value) ? null : 'must be http(s)://host[:port], without a path',
  }),
  insecureRegistries: list({
    flag: 'insecure-registry',
    key: 'insecure-registries',
    value: 'host',
    help: 'registry to be used without TLS or without checking it; may be repeated',
    initial: [],
    check: isGiven,
  }),
  registryCerts: text({
    flag: 'registry-certs',
    value: 'directory',
    help: 'authorities of registries, in <host[:port]>/ca.crt',
    initial: '/etc/hyper/certs.d',
    check: isAbsolute,
  }),
  httpsProxy: text({
    flag: 'https-proxy',
    value: 'url',
    help: 'proxy for registries (default: the environment variable HTTPS_PROXY)',
    initial: process.env['HTTPS_PROXY'] ?? process.env['https_proxy'] ?? '',
    check: (value) =>
      value === '' || /^https?:\/\/[^/]+\/?$/.test(value) ? null : 'must be http(s)://host[:port]',
  }),
  logLevel: text({
    flag: 'log-level',
    value: 'level',
    help: logLevels.join(', '),
    initial: 'info',
    check: (value) =>
      logLevels.some((level) => level === value) ? null : `must be one of ${logLevels.join(', ')}`,
  }),
} as const satisfies Record<keyof DaemonConfig, Setting>;

type Name = keyof DaemonConfig;
const names = Object.keys(settings) as Name[];

/** What the command line asks for. */
export type CommandLine =
  | { readonly action: 'help' }
  | { readonly action: 'version' }
  | { readonly action: 'run'; readonly config: DaemonConfig };

/** Reads flags and configuration file. Rejects INVALID_ARGUMENT with every fault, one a line. */
export async function readCommandLine(args: readonly string[]): Promise<CommandLine> {
  const faults: string[] = [];
  const flags = readFlags(args, faults);
  if (flags.get('help') !== undefined) {
    return { action: 'help' };
  }
  if (flags.get('version') !== undefined) {
    return { action: 'version' };
  }
  const file = flags.get('config-file')?.at(-1);
  const keys = await readConfigFile(file ?? defaultConfigFile, file !== undefined, faults);
  const values = Object.fromEntries(
    names.map((name) => [name, settingValue(settings[name], { flags, keys, faults })]),
  ) as Record<Name, readonly string[]>;
  checkTls(values, faults);
  if (faults.length > 0) {
    throw new HyperError('INVALID_ARGUMENT', faults.join('\n'), {
      hint: 'hyperd --help lists the flags',
    });
  }
  return { action: 'run', config: toConfig(values) };
}

/** The text of `hyperd --help`. */
export function helpText(): string {
  const lines = names.map((name) => {
    const { flag, value, help, initial, ...setting }: Setting = settings[name];
    const short = setting.short === undefined ? '    ' : `-${setting.short}, `;
    const fallback = typeof initial === 'string' ? initial : initial.join(', ');
    const shown = fallback === '' || help.includes('(default') ? '' : ` (default ${fallback})`;
    return `  ${`${short}--${flag} <${value}>`.padEnd(34)}${help}${shown}`;
  });
  return [
    'Usage: hyperd [flags]',
    '',
    'Serves the Docker Engine API; every container runs in a VM of its own.',
    'On SIGTERM and SIGINT the daemon ends and the VMs run on: the next hyperd takes them over.',
    '',
    ...lines,
    `      ${'--config-file <file>'.padEnd(30)}the same settings as JSON (default ${defaultConfigFile}); flags win`,
    `      ${'--version'.padEnd(30)}print the version`,
    `      ${'--help'.padEnd(30)}print this`,
    '',
  ].join('\n');
}

type Values = ReadonlyMap<string, readonly string[]>;

function readFlags(args: readonly string[], faults: string[]): Values {
  const options = Object.fromEntries([
    ...names.map((name) => {
      const setting: Setting = settings[name];
      const short = setting.short === undefined ? {} : { short: setting.short };
      return [setting.flag, { type: 'string' as const, ...short }];
    }),
    ['config-file', { type: 'string' as const }],
    ['help', { type: 'boolean' as const, short: 'h' }],
    ['version', { type: 'boolean' as const, short: 'v' }],
  ]) as Record<string, { type: 'string' | 'boolean' }>;
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const flags = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') {
      faults.push(`${token.value}: hyperd takes flags only`);
    } else if (token.kind === 'option') {
      readFlag(token, { options, flags, faults });
    }
  }
  return flags;
}

function readFlag(
  token: { readonly name: string; readonly rawName: string; readonly value: string | undefined },
  into: {
    readonly options: Readonly<Record<string, { type: 'string' | 'boolean' }>>;
    readonly flags: Map<string, string[]>;
    readonly faults: string[];
  },
): void {
  const option = into.options[token.name];
  if (option === undefined) {
    into.faults.push(`${token.rawName}: there is no such flag`);
  } else if (option.type === 'string' && token.value === undefined) {
    into.faults.push(`${token.rawName}: a value must follow`);
  } else {
    into.flags.set(token.name, [...(into.flags.get(token.name) ?? []), token.value ?? '']);
  }
}

async function readConfigFile(
  file: string,
  isNamed: boolean,
  faults: string[],
): Promise<ReadonlyMap<string, unknown>> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (cause) {
    if (isNamed || !isErrno(cause, 'ENOENT')) {
      faults.push(`${file}: ${messageOf(cause)}`);
    }
    return new Map();
  }
  const keys = parseConfigFile(file, content, faults);
  const known: readonly string[] = names.map((name) => settings[name].key);
  for (const key of keys.keys()) {
    if (!known.includes(key)) {
      faults.push(`${file}: "${key}": there is no such setting`);
    }
  }
  return keys;
}

function parseConfigFile(
  file: string,
  content: string,
  faults: string[],
): ReadonlyMap<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(content);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      return new Map(Object.entries(parsed));
    }
    faults.push(`${file}: not a JSON object`);
  } catch (cause) {
    faults.push(`${file}: not JSON: ${messageOf(cause)}`);
  }
  return new Map();
}

interface Sources {
  readonly flags: Values;
  readonly keys: ReadonlyMap<string, unknown>;
  readonly faults: string[];
}

function settingValue(setting: Setting, { flags, keys, faults }: Sources): readonly string[] {
  const given = flags.get(setting.flag);
  const fallback = typeof setting.initial === 'string' ? [setting.initial] : setting.initial;
  const [where, values] =
    given === undefined
      ? [`"${setting.key}"`, fileValue(setting, keys.get(setting.key), faults) ?? fallback]
      : [`--${setting.flag}`, setting.list ? given : given.slice(-1)];
  for (const value of values) {
    const fault = setting.check?.(value) ?? null;
    if (fault !== null) {
      faults.push(`${where}: "${value}" ${fault}`);
    }
  }
  return values;
}

function fileValue(setting: Setting, value: unknown, faults: string[]): readonly string[] | null {
  if (value === undefined) {
    return null;
  }
  if (setting.list) {
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
      return value;
    }
    faults.push(`"${setting.key}": must be a list of strings`);
    return null;
  }
  if (typeof value === 'string' || typeof value === 'number') {
    return [String(value)];
  }
  faults.push(`"${setting.key}": must be a string`);
  return null;
}

function checkHost(host: string): string | null {
  if (/^unix:\/\/\/.+/.test(host)) {
    return null;
  }
  const port = /^tcp:\/\/[^/:]+:(\d{1,5})$/.exec(host)?.[1];
  return port !== undefined && Number(port) <= 65_535
    ? null
    : 'must be unix:///path or tcp://address:port';
}

function checkSubnet(subnet: string): string | null {
  if (subnet === '') {
    return null;
  }
  const [address = '', bits = ''] = subnet.split('/');
  return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 30
    ? null
    : 'is not an IPv4 network such as 172.29.0.0/16';
}

/** An API without client certificates on a network would give the host away. */
function checkTls(values: Readonly<Record<Name, readonly string[]>>, faults: string[]): void {
  if (!values.hosts.some((host) => host.startsWith('tcp://'))) {
    return;
  }
  for (const name of ['tlsCaCert', 'tlsCert', 'tlsKey'] as const) {
    if (values[name][0] === '') {
      faults.push(`--${settings[name].flag}: must be given with tcp:// hosts`);
    }
  }
}

function toConfig(values: Readonly<Record<Name, readonly string[]>>): DaemonConfig {
  const entries = names.map((name) => {
    const value = values[name];
    return [name, settings[name].list ? value : (value[0] ?? '')];
  });
  const config = Object.fromEntries(entries) as Omit<DaemonConfig, 'mtu'>;
  return { ...config, mtu: Number(values.mtu[0]) };
}
