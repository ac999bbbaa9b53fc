import { isIPv4 } from 'node:net';
import { totalmem } from 'node:os';

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
  /** `on`: VMs begin as copies of one that was booted before, where that is possible. */
  readonly template: string;
  /** The library by which running VMs are copied; '' is none. */
  readonly vmFork: string;
  /** Copies that wait for a container at least, and at most when many were asked for. */
  readonly poolSize: number;
  readonly poolMax: number;
  /** Host memory that they may take together. */
  readonly poolMemoryMiB: number;
  /** A VM that has been idle for so long gives back what it uses for caches; 0: none does. */
  readonly trimAfterSeconds: number;
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

/** One setting: how it is given, and what it may be. */
export interface Setting {
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

/** Every setting of the daemon. */
export const settings = {
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
    check: (value) => checkNumber(value, 576, 65_520),
  }),
  template: text({
    flag: 'template',
    value: 'on|off',
    help: 'start VMs as copies of one that was booted before',
    initial: 'on',
    check: (value) => (value === 'on' || value === 'off' ? null : 'must be on or off'),
  }),
  vmFork: text({
    flag: 'vm-fork',
    value: 'file',
    help: 'library that copies emulated VMs while they are there; "" is none',
    initial: '',
    check: (value) => (value === '' ? null : isAbsolute(value)),
  }),
  poolSize: text({
    flag: 'pool-size',
    value: 'number',
    help: 'VMs that wait for a container at least; 0 is none',
    initial: '2',
    check: (value) => checkNumber(value, 0, 1000),
  }),
  poolMax: text({
    flag: 'pool-max',
    value: 'number',
    help: 'VMs that wait at most, when so many were started within seconds; usually 20',
    initial: '',
    check: (value) => (value === '' ? null : checkNumber(value, 0, 1000)),
  }),
  poolMemoryMiB: text({
    flag: 'pool-memory',
    value: 'MiB',
    help: 'host memory that waiting VMs may take together',
    initial: String(Math.max(512, Math.floor(totalmem() / 1024 ** 2 / 10))),
    check: (value) => checkNumber(value, 0, 1_048_576),
  }),
  trimAfterSeconds: text({
    flag: 'trim-after',
    value: 'seconds',
    help: 'a VM that is idle for so long gives its caches back; 0 is never',
    initial: '60',
    check: (value) => checkNumber(value, 0, 86_400),
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

function checkNumber(value: string, least: number, most: number): string | null {
  return /^\d+$/.test(value) && Number(value) >= least && Number(value) <= most
    ? null
    : `must be a number from ${String(least)} to ${String(most)}`;
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
  return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 29
    ? null
    : 'is not an IPv4 network such as 172.29.0.0/16 (prefix 8 to 29)';
}
