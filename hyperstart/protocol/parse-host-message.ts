import {
  bool,
  type Check,
  count,
  integer,
  list,
  nullable,
  object,
  oneOf,
  ParseError,
  record,
  shape,
  text,
} from './check.ts';
import {
  type ContainerConfig,
  type ContainerParams,
  type DeviceRule,
  type ExecParams,
  type HostMessage,
  type InterfaceConfig,
  type MethodName,
  type Methods,
  type PodConfig,
  type ProcessConfig,
  type ProcessRef,
  type Resources,
  type ResizeParams,
  type Rlimit,
  type RootfsConfig,
  type RouteConfig,
  type SignalParams,
  type StartParams,
  type TmpfsMount,
  deviceAccesses,
} from './message.ts';
import { empty, processRef, requestId, streams } from './common-checks.ts';

const containerParams = shape<ContainerParams>({ containerId: text });

const size = shape<{ rows: number; columns: number }>({
  rows: integer(0, 0xffff),
  columns: integer(0, 0xffff),
});

const processConfig = shape<ProcessConfig>({
  args: (value, field) => {
    const args = list(text)(value, field);
    if (args.length === 0) throw new ParseError(field, 'at least one word');
    return args;
  },
  env: list(text),
  cwd: text,
  user: text,
  additionalGroups: list(text),
  tty: bool,
  consoleSize: nullable(size),
  capabilities: list(text, 64),
  noNewPrivileges: bool,
  seccompProgram: nullable(text),
  rlimits: list(shape<Rlimit>({ type: text, soft: integer(-1), hard: integer(-1) }), 64),
  oomScoreAdj: integer(-1000, 1000),
  streams,
});

const resources = shape<Resources>({
  memoryBytes: nullable(count),
  memorySwapBytes: nullable(count),
  memoryReservationBytes: nullable(count),
  cpuQuotaMicros: nullable(count),
  cpuPeriodMicros: count,
  cpuWeight: nullable(integer(1, 10_000)),
  cpusetCpus: nullable(text),
  cpusetMems: nullable(text),
  pidsLimit: nullable(count),
});

/** A kernel's device number has 12 bits for the major and 20 for the minor one. */
const deviceRule = shape<DeviceRule>({
  type: oneOf('all', 'character', 'block'),
  major: nullable(integer(0, 0xfff)),
  minor: nullable(integer(0, 0xfffff)),
  access: oneOf(...deviceAccesses),
});

const containerConfig = shape<ContainerConfig>({
  id: text,
  rootfs: shape<RootfsConfig>({ layers: list(text, 200), writableDisk: text, readOnly: bool }),
  hostname: text,
  domainname: text,
  hostsFile: text,
  resolvConfFile: text,
  mounts: list(
    shape<TmpfsMount>({ type: oneOf('tmpfs'), target: text, options: list(text, 64) }),
    1000,
  ),
  shmSizeBytes: count,
  sysctls: record(text),
  resources,
  deviceRules: list(deviceRule, 1000),
  maskedPaths: list(text, 1000),
  readonlyPaths: list(text, 1000),
  privileged: bool,
  privateCgroupNamespace: bool,
  init: bool,
  process: processConfig,
});

const podConfig = shape<PodConfig>({
  hostname: text,
  clockUnixMs: count,
  entropy: text,
  interfaces: list(
    shape<InterfaceConfig>({
      name: text,
      macAddress: text,
      deviceMacAddress: text,
      mtu: integer(68, 65_535),
      addresses: list(text, 64),
    }),
    64,
  ),
  routes: list(shape<RouteConfig>({ destination: text, gateway: text, interfaceName: text }), 1000),
});

type ParamsChecks = { readonly [M in MethodName]: Check<Methods[M]['params']> };

const paramsChecks: ParamsChecks = {
  start: shape<StartParams>({ pod: nullable(podConfig), container: containerConfig }),
  exec: shape<ExecParams>({ containerId: text, execId: text, process: processConfig }),
  signal: shape<SignalParams>({ ...processRef, signal: integer(1, 64), all: bool }),
  resize: shape<ResizeParams>({
    ...processRef,
    rows: integer(0, 0xffff),
    columns: integer(0, 0xffff),
  }),
  pause: containerParams,
  resume: containerParams,
  stats: containerParams,
  processes: containerParams,
  release: shape<ProcessRef>(processRef),
  park: empty,
  trim: empty,
  shutdown: empty,
};

/** Parses a message from hyperd. Throws ParseError, naming the field. */
export function parseHostMessage(json: string): HostMessage {
  const message = object(JSON.parse(json), 'message');
  switch (message['type']) {
    case 'hello':
      return {
        type: 'hello',
        protocolVersion: count(message['protocolVersion'], 'protocolVersion'),
        // A host of another version says nothing of it, and shall be told of ours.
        sharedMemory: message['sharedMemory'] === true,
      };
    case 'cancel':
      return { type: 'cancel', id: requestId(message['id'], 'id') };
    case 'request': {
      const method = oneOf(...(Object.keys(paramsChecks) as MethodName[]))(
        message['method'],
        'method',
      );
      const params = paramsChecks[method](message['params'], method);
      return { type: 'request', id: requestId(message['id'], 'id'), method, params };
    }
    default:
      throw new ParseError('type', 'hello, cancel or request');
  }
}
