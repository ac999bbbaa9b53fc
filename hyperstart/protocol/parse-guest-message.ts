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
  type ContainerStats,
  type ExecResult,
  type GuestHello,
  type GuestMessage,
  type InterfaceStats,
  type MethodName,
  type Methods,
  type ProcessExit,
  type ProcessList,
  type ProcessStatus,
  type StartResult,
  agentErrorCodes,
} from './message.ts';
import { empty, processRef, requestId, streams } from './common-checks.ts';

type ResultChecks = { readonly [M in MethodName]: Check<Methods[M]['result']> };

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
  trim: empty,
  shutdown: empty,
};

const processExit = shape<ProcessExit>({
  exitCode: integer(0, 255),
  signal: nullable(integer(1, 64)),
  oomKilled: bool,
});

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
  memoryFreeKiB: count,
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
