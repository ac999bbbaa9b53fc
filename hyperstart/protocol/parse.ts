import {
  bool,
  type Check,
  count,
  integer,
  list,
  nullable,
  number,
  object,
  oneOf,
  ParseError,
  record,
  shape,
  text,
} from './check.ts';
import {
  type AgentEvent,
  agentErrorCodes,
  type ContainerConfig,
  type ContainerParams,
  type ContainerStats,
  deviceAccesses,
  type DeviceRule,
  type Empty,
  type ExecParams,
  type ExecResult,
  type GuestHello,
  type GuestMessage,
  type HostMessage,
  type InterfaceConfig,
  type InterfaceStats,
  type MethodName,
  type Methods,
  type PodConfig,
  type ProcessConfig,
  type ProcessExit,
  type ProcessList,
  type ProcessRef,
  type ProcessStatus,
  type Resources,
  type ResizeParams,
  type Rlimit,
  type RootfsConfig,
  type RouteConfig,
  type SignalParams,
  type StartParams,
  type StartResult,
  type StdioStreams,
  type TmpfsMount,
} from './message.ts';

const streamId = integer(1, 0xffffffff);
const requestId = integer(1);
const empty: Check<Empty> = shape<Empty>({});

const streams = shape<StdioStreams>({
  stdin: nullable(streamId),
  stdout: nullable(streamId),
  stderr: nullable(streamId),
});

const processRef = { containerId: text, execId: nullable(text) };
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
type ResultChecks = { readonly [M in MethodName]: Check<Methods[M]['result']> };

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
  shutdown: empty,
};

const timeline = record(number);

const interfaceStats = shape<InterfaceStats>({
  name: text,
  rxBytes: count,
  rxPackets: count,
  rxErrors: count,
  rxDropped: count,
  txBytes: count,
  txPackets: count,
  txErrors: count,
  txDropped: count,
});

const resultChecks: ResultChecks = {
  start: shape<StartResult>({ pid: count, timeline }),
  exec: shape<ExecResult>({ pid: count }),
  signal: empty,
  resize: empty,
  pause: empty,
  resume: empty,
  stats: shape<ContainerStats>({
    memoryBytes: count,
    memoryMaxBytes: nullable(count),
    memoryInactiveFileBytes: count,
    cpuUsageMicros: count,
    cpuUserMicros: count,
    cpuSystemMicros: count,
    throttledPeriods: count,
    throttledMicros: count,
    pids: count,
    pidsMax: nullable(count),
    onlineCpus: count,
    interfaces: list(interfaceStats, 64),
    blockReadBytes: count,
    blockWriteBytes: count,
  }),
  processes: shape<ProcessList>({
    processes: list(
      shape<ProcessList['processes'][number]>({
        pid: count,
        parentPid: count,
        uid: count,
        command: text,
        cpuMs: count,
        startedUnixMs: count,
      }),
      100_000,
    ),
  }),
  release: empty,
  park: empty,
  shutdown: empty,
};

const processExit = shape<ProcessExit>({
  exitCode: integer(0, 255),
  signal: nullable(integer(1, 64)),
  oomKilled: bool,
});

/** Parses a message from hyperd. Throws ParseError, naming the field. */
export function parseHostMessage(json: string): HostMessage {
  const message = object(JSON.parse(json), 'message');
  switch (message['type']) {
    case 'hello':
      return {
        type: 'hello',
        protocolVersion: count(message['protocolVersion'], 'protocolVersion'),
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

/** Parses a message from the guest, which may be hostile. A result is checked by parseResult. */
export function parseGuestMessage(json: string): GuestMessage {
  const message = object(JSON.parse(json), 'message');
  switch (message['type']) {
    case 'hello':
      return guestHello(message, 'hello');
    case 'response':
      return { type: 'response', id: requestId(message['id'], 'id'), result: message['result'] };
    case 'error':
      return {
        type: 'error',
        id: requestId(message['id'], 'id'),
        code: oneOf(...agentErrorCodes)(message['code'], 'code'),
        message: text(message['message'], 'message'),
      };
    case 'event':
      return parseEvent(message);
    default:
      throw new ParseError('type', 'hello, response, error or event');
  }
}

/** Checks the result of a method. */
export function parseResult<M extends MethodName>(
  method: M,
  result: unknown,
): Methods[M]['result'] {
  return resultChecks[method](result, `result of ${method}`);
}

const guestHello = shape<GuestHello>({
  type: oneOf('hello'),
  protocolVersion: count,
  kernelRelease: text,
  bootTimeline: timeline,
  memoryTotalKiB: count,
  memoryAvailableKiB: count,
  processes: list(shape<ProcessStatus>({ ...processRef, streams, exit: nullable(processExit) })),
});

function parseEvent(message: Readonly<Record<string, unknown>>): AgentEvent {
  switch (message['event']) {
    case 'exit':
      return {
        type: 'event',
        event: 'exit',
        containerId: text(message['containerId'], 'containerId'),
        execId: nullable(text)(message['execId'], 'execId'),
        exit: processExit(message['exit'], 'exit'),
      };
    case 'oom':
      return {
        type: 'event',
        event: 'oom',
        containerId: text(message['containerId'], 'containerId'),
      };
    case 'pressure':
      return {
        type: 'event',
        event: 'pressure',
        resource: oneOf('memory')(message['resource'], 'resource'),
        someAvg10: number(message['someAvg10'], 'someAvg10'),
      };
    default:
      throw new ParseError('event', 'exit, oom or pressure');
  }
}
