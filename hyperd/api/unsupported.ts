import { HyperError } from '../base/error.ts';

/**
 * Fields that Docker knows and Hyper does not honour yet, with the option of `docker run` that sets
 * them. A request that sets one is refused by name: silently ignoring it would be a lie.
 */
type RefusedFields = Readonly<Record<string, string>>;

const containerFields: RefusedFields = {
  Healthcheck: '--health-cmd',
  Volumes: '--volume',
  NetworkDisabled: '',
  OnBuild: '',
  Shell: '',
};

const hostFields: RefusedFields = {
  Binds: '--volume',
  VolumeDriver: '--volume-driver',
  VolumesFrom: '--volumes-from',
  Mounts: '--mount',
  Cgroup: '',
  Links: '--link',
  PidMode: '--pid',
  UTSMode: '--uts',
  UsernsMode: '--userns',
  CgroupParent: '--cgroup-parent',
  BlkioWeight: '--blkio-weight',
  BlkioWeightDevice: '--blkio-weight-device',
  BlkioDeviceReadBps: '--device-read-bps',
  BlkioDeviceWriteBps: '--device-write-bps',
  BlkioDeviceReadIOps: '--device-read-iops',
  BlkioDeviceWriteIOps: '--device-write-iops',
  CpuRealtimePeriod: '--cpu-rt-period',
  CpuRealtimeRuntime: '--cpu-rt-runtime',
  Devices: '--device',
  DeviceCgroupRules: '--device-cgroup-rule',
  DeviceRequests: '--gpus',
  KernelMemory: '--kernel-memory',
  KernelMemoryTCP: '',
  OomKillDisable: '--oom-kill-disable',
  CpuCount: '',
  CpuPercent: '',
  IOMaximumIOps: '',
  IOMaximumBandwidth: '',
  MemorySwappiness: '--memory-swappiness',
  Isolation: '--isolation',
  Runtime: '--runtime',
};

/** Values that ask for what Hyper does anyway. */
const acceptedValues: Readonly<Record<string, readonly unknown[]>> = {
  Healthcheck: [{ Test: ['NONE'] }],
  MemorySwappiness: [-1],
  Isolation: ['default'],
  Runtime: ['hyper'],
  PidMode: ['private'],
  UsernsMode: ['host'],
};

/** Throws UNSUPPORTED naming every field of a create request that would not be honoured. */
export function assertCreateSupported(body: unknown): void {
  const config = lowerCaseFields(body);
  const refused = [
    ...refusedIn(config, containerFields, ''),
    ...refusedIn(lowerCaseFields(config.get('hostconfig')), hostFields, 'HostConfig.'),
  ];
  if (refused.length > 0) {
    throw new HyperError('UNSUPPORTED', `not supported by Hyper yet: ${refused.join(', ')}`);
  }
}

function refusedIn(
  fields: ReadonlyMap<string, unknown>,
  refused: RefusedFields,
  prefix: string,
): string[] {
  return Object.entries(refused)
    .filter(([field]) => {
      const value = fields.get(field.toLowerCase());
      return isSet(value) && !isAccepted(field, value);
    })
    .map(([field, option]) => `${prefix}${field}${option === '' ? '' : ` (${option})`}`);
}

function isAccepted(field: string, value: unknown): boolean {
  const text = JSON.stringify(value);
  return acceptedValues[field]?.some((accepted) => JSON.stringify(accepted) === text) === true;
}

/** What clients always send for "not set" counts as absent. */
function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) {
    return false;
  }
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

function lowerCaseFields(value: unknown): ReadonlyMap<string, unknown> {
  return typeof value === 'object' && value !== null
    ? new Map(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]))
    : new Map();
}
