import type { HostConfig } from '../../pod/docker-config.ts';

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const defaultShmBytes = 64 * 1024 * 1024;

/** Every field of Docker's HostConfig with the value that it has when nothing was asked for. */
const defaults = {
  Binds: null,
  ContainerIDFile: '',
  LogConfig: { Type: 'json-file', Config: {} },
  NetworkMode: 'bridge',
  PortBindings: {},
  RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: 'private',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: 'private',
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: defaultShmBytes,
  Runtime: 'hyper',
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: null,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
};

/** HostConfig as `inspect` shows it: what was asked for over Docker's defaults. */
export function renderHostConfig(hostConfig: HostConfig): object {
  const privileged = hostConfig.Privileged === true;
  return {
    ...defaults,
    ...withoutNulls(hostConfig),
    LogConfig: {
      Type: hostConfig.LogConfig?.Type || defaults.LogConfig.Type,
      Config: hostConfig.LogConfig?.Config ?? {},
    },
    RestartPolicy: {
      Name: hostConfig.RestartPolicy?.Name || defaults.RestartPolicy.Name,
      MaximumRetryCount: hostConfig.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    NetworkMode: hostConfig.NetworkMode === 'none' ? 'none' : 'bridge',
    CgroupnsMode: hostConfig.CgroupnsMode || defaults.CgroupnsMode,
    IpcMode: hostConfig.IpcMode || defaults.IpcMode,
    ShmSize: hostConfig.ShmSize || defaultShmBytes,
    MaskedPaths: hostConfig.MaskedPaths ?? (privileged ? null : maskedPaths),
    ReadonlyPaths: hostConfig.ReadonlyPaths ?? (privileged ? null : readonlyPaths),
  };
}

function withoutNulls(value: object): object {
  return Object.fromEntries(
    Object.entries(value).filter(([, field]) => field !== null && field !== undefined),
  );
}
