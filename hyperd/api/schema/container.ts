import Type from 'typebox';

import { querySchema } from './query.ts';

const Strings = Type.Array(Type.String());
const StringMap = Type.Record(Type.String(), Type.String());
/** Docker takes one word for a list of one. */
const Words = Type.Union([Strings, Type.String()]);

export const ContainerParams = Type.Object({ id: Type.String({ minLength: 1 }) });

const LogConfig = Type.Object({
  Type: Type.Optional(Type.String()),
  Config: Type.Optional(StringMap),
});

const RestartPolicy = Type.Object({
  Name: Type.Optional(Type.String()),
  MaximumRetryCount: Type.Optional(Type.Integer()),
});

const Ulimit = Type.Object({
  Name: Type.String(),
  Soft: Type.Integer(),
  Hard: Type.Integer(),
});

const HostPort = Type.Object({
  HostIp: Type.Optional(Type.String()),
  HostPort: Type.Optional(Type.String()),
});

export const HostConfigBody = Type.Object({
  Memory: Type.Optional(Type.Integer()),
  MemorySwap: Type.Optional(Type.Integer()),
  MemoryReservation: Type.Optional(Type.Integer()),
  NanoCpus: Type.Optional(Type.Integer()),
  CpuShares: Type.Optional(Type.Integer()),
  CpuPeriod: Type.Optional(Type.Integer()),
  CpuQuota: Type.Optional(Type.Integer()),
  CpusetCpus: Type.Optional(Type.String()),
  CpusetMems: Type.Optional(Type.String()),
  PidsLimit: Type.Optional(Type.Integer()),
  Ulimits: Type.Optional(Type.Array(Ulimit)),
  OomScoreAdj: Type.Optional(Type.Integer()),
  ShmSize: Type.Optional(Type.Integer()),
  Sysctls: Type.Optional(StringMap),
  CapAdd: Type.Optional(Words),
  CapDrop: Type.Optional(Words),
  Privileged: Type.Optional(Type.Boolean()),
  SecurityOpt: Type.Optional(Strings),
  ReadonlyRootfs: Type.Optional(Type.Boolean()),
  GroupAdd: Type.Optional(Strings),
  Init: Type.Optional(Type.Boolean()),
  Tmpfs: Type.Optional(StringMap),
  AutoRemove: Type.Optional(Type.Boolean()),
  ExtraHosts: Type.Optional(Strings),
  Dns: Type.Optional(Strings),
  DnsOptions: Type.Optional(Strings),
  DnsSearch: Type.Optional(Strings),
  StorageOpt: Type.Optional(StringMap),
  LogConfig: Type.Optional(LogConfig),
  PortBindings: Type.Optional(
    Type.Record(Type.String(), Type.Union([Type.Array(HostPort), Type.Null()])),
  ),
  PublishAllPorts: Type.Optional(Type.Boolean()),
  NetworkMode: Type.Optional(Type.String()),
  RestartPolicy: Type.Optional(RestartPolicy),
  ConsoleSize: Type.Optional(Type.Tuple([Type.Integer(), Type.Integer()])),
  CgroupnsMode: Type.Optional(Type.String()),
  IpcMode: Type.Optional(Type.String()),
  MaskedPaths: Type.Optional(Strings),
  ReadonlyPaths: Type.Optional(Strings),
  Annotations: Type.Optional(StringMap),
});

const Endpoint = Type.Object({
  MacAddress: Type.Optional(Type.String()),
  Aliases: Type.Optional(Strings),
  Links: Type.Optional(Strings),
  DriverOpts: Type.Optional(StringMap),
  IPAMConfig: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});

const NetworkingConfig = Type.Object({
  EndpointsConfig: Type.Optional(Type.Record(Type.String(), Type.Union([Endpoint, Type.Null()]))),
});

/** Body of `POST /containers/create`. */
export const CreateBody = Type.Object({
  Hostname: Type.Optional(Type.String()),
  Domainname: Type.Optional(Type.String()),
  User: Type.Optional(Type.String()),
  AttachStdin: Type.Optional(Type.Boolean()),
  AttachStdout: Type.Optional(Type.Boolean()),
  AttachStderr: Type.Optional(Type.Boolean()),
  ExposedPorts: Type.Optional(Type.Record(Type.String(), Type.Record(Type.String(), Type.Never()))),
  Tty: Type.Optional(Type.Boolean()),
  OpenStdin: Type.Optional(Type.Boolean()),
  StdinOnce: Type.Optional(Type.Boolean()),
  Env: Type.Optional(Strings),
  Cmd: Type.Optional(Words),
  Image: Type.Optional(Type.String()),
  WorkingDir: Type.Optional(Type.String()),
  Entrypoint: Type.Optional(Words),
  Labels: Type.Optional(StringMap),
  StopSignal: Type.Optional(Type.String()),
  StopTimeout: Type.Optional(Type.Integer()),
  MacAddress: Type.Optional(Type.String()),
  HostConfig: Type.Optional(HostConfigBody),
  NetworkingConfig: Type.Optional(NetworkingConfig),
});

export const CreateQuery = querySchema('name', 'platform');
export const ListQuery = querySchema('all', 'limit', 'size', 'filters');
export const InspectQuery = querySchema('size');
export const StopQuery = querySchema('t', 'signal');
export const KillQuery = querySchema('signal');
export const RenameQuery = querySchema('name');
export const RemoveQuery = querySchema('v', 'force', 'link');
export const WaitQuery = querySchema('condition');
export const ResizeQuery = querySchema('h', 'w');
export const TopQuery = querySchema('ps_args');
export const StatsQuery = querySchema('stream', 'one-shot');
export const AttachQuery = querySchema('stdin', 'stdout', 'stderr', 'logs', 'stream', 'detachKeys');
export const LogsQuery = querySchema(
  'follow',
  'stdout',
  'stderr',
  'since',
  'until',
  'timestamps',
  'tail',
  'details',
);
