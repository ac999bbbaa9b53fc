import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type ContainerConfig,
  type GuestHello,
  type StartParams,
} from '../../../../hyperstart/protocol/message.ts';
import {
  parseGuestMessage,
  parseResult,
} from '../../../../hyperstart/protocol/parse-guest-message.ts';
import { parseHostMessage } from '../../../../hyperstart/protocol/parse-host-message.ts';
import { protocolVersion } from '../../../../hyperstart/protocol/version.ts';

const container: ContainerConfig = {
  id: 'c1',
  rootfs: { layers: ['base', 'top'], writableDisk: 'disk', readOnly: false },
  hostname: 'box',
  domainname: '',
  hostsFile: '127.0.0.1 localhost\n',
  resolvConfFile: 'nameserver 10.0.0.1\n',
  mounts: [{ type: 'tmpfs', target: '/run', options: ['size=64m'] }],
  shmSizeBytes: 67_108_864,
  sysctls: { 'net.ipv4.ip_forward': '1' },
  resources: {
    memoryBytes: 1 << 28,
    memorySwapBytes: null,
    memoryReservationBytes: null,
    cpuQuotaMicros: 50_000,
    cpuPeriodMicros: 100_000,
    cpuWeight: 100,
    cpusetCpus: '0-1',
    cpusetMems: null,
    pidsLimit: null,
  },
  deviceRules: [{ type: 'character', major: 1, minor: 3, access: 'rwm' }],
  maskedPaths: ['/proc/kcore'],
  readonlyPaths: ['/proc/sys'],
  privileged: false,
  privateCgroupNamespace: true,
  init: false,
  process: {
    args: ['sh', '-c', 'true'],
    env: ['PATH=/bin'],
    cwd: '/',
    user: '',
    additionalGroups: [],
    tty: true,
    consoleSize: { rows: 24, columns: 80 },
    capabilities: ['CAP_CHOWN'],
    noNewPrivileges: true,
    seccompProgram: 'AAAAAAAAAAA=',
    rlimits: [{ type: 'nofile', soft: 1024, hard: -1 }],
    oomScoreAdj: -500,
    streams: { stdin: 1, stdout: 2, stderr: null },
  },
};

const start: StartParams = {
  pod: {
    hostname: 'pod',
    clockUnixMs: 1_795_000_000_000,
    entropy: 'c2VlZA==',
    interfaces: [
      {
        name: 'eth0',
        macAddress: '02:42:ac:1d:00:02',
        deviceMacAddress: '02:42:ac:1d:00:02',
        mtu: 1500,
        addresses: ['10.0.0.2/24'],
      },
    ],
    routes: [{ destination: '0.0.0.0/0', gateway: '10.0.0.1', interfaceName: 'eth0' }],
  },
  container,
};

const hello: GuestHello = {
  type: 'hello',
  protocolVersion,
  kernelRelease: '6.12.0-hyper',
  bootTimeline: { kernel: 900.5, ready: 950 },
  memoryTotalKiB: 120_000,
  memoryFreeKiB: 100_000,
  processes: [
    {
      containerId: 'c1',
      execId: null,
      streams: { stdin: null, stdout: 2, stderr: 3 },
      exit: { exitCode: 137, signal: 9, oomKilled: true },
    },
  ],
};

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

function request(method: string, params: unknown): string {
  return JSON.stringify({ type: 'request', id: 1, method, params });
}

/** Every path to a value inside, such as ['pod', 'routes', 0, 'gateway']. */
function pathsOf(value: Json, at: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [[...at]];
  const entries: [string | number, Json][] = Array.isArray(value)
    ? (value as readonly Json[]).map((item, index) => [index, item])
    : Object.entries(value);
  return [
    ...(at.length > 0 ? [[...at]] : []),
    ...entries.flatMap(([key, item]) => pathsOf(item, [...at, key])),
  ];
}

function replaced(value: unknown, at: readonly (string | number)[], by: unknown): unknown {
  const copy = structuredClone(value) as Record<string | number, unknown>;
  let parent = copy;
  for (const key of at.slice(0, -1)) parent = parent[key] as Record<string | number, unknown>;
  parent[at.at(-1) ?? ''] = by;
  return copy;
}

describe('parseHostMessage', () => {
  it('gives back a whole start request', () => {
    expect(parseHostMessage(request('start', start))).toEqual({
      type: 'request',
      id: 1,
      method: 'start',
      params: start,
    });
  });

  it('checks every field of a start request', () => {
    for (const path of pathsOf(start as unknown as Json)) {
      // A list with an object in it suits no field, and a record's values are texts.
      const wrong = path.at(-1) === 'sysctls' ? { name: {} } : [{}];
      const broken = replaced(start, path, wrong);
      expect(() => parseHostMessage(request('start', broken)), path.join('.')).toThrow('is wanted');
    }
  });

  it('wants every field of a start request', () => {
    const isField = (path: (string | number)[]): boolean =>
      typeof path.at(-1) === 'string' && !path.includes('sysctls');
    for (const path of pathsOf(start as unknown as Json).filter(isField)) {
      const broken = replaced(start, path, undefined);
      expect(() => parseHostMessage(request('start', broken)), path.join('.')).toThrow('is wanted');
    }
  });

  it('drops fields that it does not know', () => {
    const params = { containerId: 'c1', further: 'field', __proto__: { containerId: 'c2' } };
    expect(parseHostMessage(request('pause', params))).toMatchObject({
      params: { containerId: 'c1' },
    });
  });

  it.each([
    ['a method that does not exist', request('reboot', {}), 'method: one of start'],
    ['a method of every object', request('toString', {}), 'method: one of start'],
    [
      'a request id of 0',
      '{"type":"request","id":0,"method":"shutdown","params":{}}',
      'id: a whole',
    ],
    ['a list for parameters', request('pause', []), 'pause: an object is wanted'],
    ['a type that does not exist', '{"type":"event"}', 'type: hello, cancel or request'],
    ['a bare value', '7', 'message: an object'],
    ['null', 'null', 'message: an object'],
    ['half a message', '{"type":', 'JSON'],
    [
      'signal 0',
      request('signal', { containerId: 'c', execId: null, signal: 0, all: false }),
      'signal',
    ],
    [
      'signal 65',
      request('signal', { containerId: 'c', execId: null, signal: 65, all: false }),
      'signal',
    ],
    [
      'a terminal of a fractional size',
      request('resize', { containerId: 'c', execId: null, rows: 1.5, columns: 1 }),
      'resize.rows: a whole number from 0 to 65535',
    ],
    [
      'a command without a word',
      request('exec', {
        containerId: 'c',
        execId: 'e',
        process: { ...container.process, args: [] },
      }),
      'exec.process.args: at least one word',
    ],
    [
      'stream id 0',
      request('start', replaced(start, ['container', 'process', 'streams', 'stdin'], 0)),
      'streams.stdin: a whole number from 1',
    ],
    [
      'more layers than a kernel can stack',
      request(
        'start',
        replaced(start, ['container', 'rootfs', 'layers'], new Array(201).fill('x')),
      ),
      'layers: a list of at most 200',
    ],
    [
      'a device number that the kernel does not have',
      request('start', replaced(start, ['container', 'deviceRules', 0, 'major'], 4096)),
      'deviceRules[0].major: a whole number from 0 to 4095',
    ],
    [
      'access to devices of another kind',
      request('start', replaced(start, ['container', 'deviceRules', 0, 'access'], 'x')),
      'deviceRules[0].access: one of r, w, m',
    ],
    [
      'a text beyond all measure',
      request('pause', { containerId: 'x'.repeat(256 * 1024 + 1) }),
      'containerId: a string of at most',
    ],
  ])('refuses %s and names it', (_, text, reason) => {
    expect(() => parseHostMessage(text)).toThrow(reason);
  });

  it('throws an error, and nothing else, for any JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(() => parseHostMessage(text)).toThrow(Error);
      }),
    );
  });
});

describe('parseGuestMessage', () => {
  it('gives back a hello with what is still running', () => {
    expect(parseGuestMessage(JSON.stringify(hello))).toEqual(hello);
  });

  it('checks every field of a hello', () => {
    for (const path of pathsOf(hello as unknown as Json)) {
      const wrong = path.at(-1) === 'bootTimeline' ? { phase: 'soon' } : [{}];
      const broken = JSON.stringify(replaced(hello, path, wrong));
      expect(() => parseGuestMessage(broken), path.join('.')).toThrow('is wanted');
    }
  });

  it.each([
    { type: 'response', id: 3, result: { any: 'thing' } },
    { type: 'error', id: 3, code: 'COMMAND_NOT_FOUND', message: 'no such file' },
    { type: 'event', event: 'oom', containerId: 'c1' },
    { type: 'event', event: 'pressure', resource: 'memory', someAvg10: 12.5 },
    {
      type: 'event',
      event: 'exit',
      containerId: 'c1',
      execId: 'e1',
      exit: { exitCode: 0, signal: null, oomKilled: false },
    },
  ])('gives back $type $event', (message) => {
    expect(parseGuestMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each([
    ['an exit code of 256', { exitCode: 256, signal: null, oomKilled: false }],
    ['a negative exit code', { exitCode: -1, signal: null, oomKilled: false }],
    ['signal 0', { exitCode: 0, signal: 0, oomKilled: false }],
    ['a word for a truth', { exitCode: 0, signal: null, oomKilled: 'yes' }],
  ])('refuses an exit with %s', (_, exit) => {
    const message = { type: 'event', event: 'exit', containerId: 'c1', execId: null, exit };
    expect(() => parseGuestMessage(JSON.stringify(message))).toThrow('exit.');
  });

  it.each([
    ['an error code that does not exist', { type: 'error', id: 1, code: 'EVIL', message: '' }],
    ['an event that does not exist', { type: 'event', event: 'party', containerId: 'c1' }],
    [
      'a pressure that is no number',
      { type: 'event', event: 'pressure', resource: 'memory', someAvg10: null },
    ],
    ['a request', { type: 'request', id: 1, method: 'pause', params: {} }],
  ])('refuses %s', (_, message) => {
    expect(() => parseGuestMessage(JSON.stringify(message))).toThrow('is wanted');
  });

  it('throws an error, and nothing else, for any JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(() => parseGuestMessage(text)).toThrow(Error);
      }),
    );
  });
});

describe('parseResult', () => {
  it('gives back results of the right shape, without further fields', () => {
    const result = { pid: 12, timeline: { network: 1.5, mounts: 2 }, secret: 'x' };
    expect(parseResult('start', result)).toEqual({
      pid: 12,
      timeline: { network: 1.5, mounts: 2 },
    });
    expect(parseResult('pause', { any: 1 })).toEqual({});
  });

  it('keeps a timeline from reaching prototypes', () => {
    const result: unknown = JSON.parse('{"pid":1,"timeline":{"__proto__":5}}');
    const { timeline } = parseResult('start', result);
    expect(Object.getPrototypeOf(timeline)).toBe(Object.prototype);
  });

  it.each([
    ['start', { pid: -1, timeline: {} }, 'result of start.pid'],
    ['start', { pid: 1, timeline: { mounts: 'fast' } }, 'result of start.timeline.mounts'],
    ['exec', null, 'result of exec: an object'],
    ['stats', {}, 'result of stats.memoryBytes'],
    ['processes', { processes: [{}] }, 'result of processes.processes[0].pid'],
  ] as const)('refuses a wrong result of %s and names the field', (method, result, field) => {
    expect(() => parseResult(method, result)).toThrow(field);
  });
});
