import { Agent } from '../../hyperstart/agent.ts';
import { bootGuest } from '../../hyperstart/boot.ts';
import type {
  AgentErrorCode,
  AgentEvent,
  ContainerConfig,
  GuestHello,
  MethodName,
  Methods,
  PodConfig,
  ProcessConfig,
  StdioStreams,
} from '../../hyperstart/protocol/message.ts';
import { parseGuestMessage } from '../../hyperstart/protocol/parse-guest-message.ts';
import { protocolVersion } from '../../hyperstart/protocol/version.ts';
import { FakeSys, imagePath } from './fake-sys.ts';

/** The agent's refusal of a request. */
export interface Refusal {
  readonly code: AgentErrorCode;
  readonly message: string;
}

/** hyperstart on a fake kernel, booted, with the host's end of the channel in the test's hands. */
export class GuestBench {
  readonly sys = new FakeSys();
  readonly timeline: Record<string, number> = { kernel: 90 };
  #nextRequest = 1;
  #isPodConfigured = false;

  constructor() {
    const { files } = this.sys;
    files.put(`${imagePath}/etc/passwd`, 'root:x:0:0:root:/root:/bin/sh\n');
    files.put(`${imagePath}/etc/group`, 'root:x:0:\n');
    files.put(`${imagePath}/bin/sh`, 'ELF', 0o755);
    bootGuest(this.sys, this.timeline);
    new Agent(this.sys, this.timeline);
    this.sys.plugDisk('vda', 'layer-base');
    this.sys.plugDisk('vdb', 'layer-top');
    this.sys.plugDisk('vdc', 'disk-c1');
    this.sys.plugDisk('vdd', 'disk-c2');
  }

  get #handlers() {
    const { handlers } = this.sys.channel;
    if (handlers === null) throw new Error('the channel is not open');
    return handlers;
  }

  /** Opens a session as a (new) hyperd and returns the hello. */
  connect(version = protocolVersion): GuestHello {
    this.#handlers.onSession();
    this.#handlers.onMessage(JSON.stringify({ type: 'hello', protocolVersion: version }));
    const message = parseGuestMessage(this.sys.channel.accepted.at(-1) ?? '');
    if (message.type !== 'hello') throw new Error('not a hello');
    return message;
  }

  disconnect(): void {
    this.#handlers.onDisconnect();
  }

  deliver(text: string): void {
    this.#handlers.onMessage(text);
  }

  drain(...streamIds: readonly number[]): void {
    for (const id of streamIds) this.#handlers.onStreamDrained(id);
  }

  /** Sends a request and leaves the answer to `answer`. */
  send<M extends MethodName>(method: M, params: Methods[M]['params']): number {
    const id = this.#nextRequest++;
    this.deliver(JSON.stringify({ type: 'request', id, method, params }));
    return id;
  }

  cancel(id: number): void {
    this.deliver(JSON.stringify({ type: 'cancel', id }));
  }

  /** The answer to a request, once everything that is due has run; undefined when there is none yet. */
  async answer(id: number): Promise<unknown> {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    for (const text of this.sys.channel.sent) {
      const message = parseGuestMessage(text);
      if (message.type === 'response' && message.id === id) return message.result;
      if (message.type === 'error' && message.id === id) {
        return { code: message.code, message: message.message };
      }
    }
    return undefined;
  }

  async request<M extends MethodName>(method: M, params: Methods[M]['params']): Promise<unknown> {
    return this.answer(this.send(method, params));
  }

  events(): readonly AgentEvent[] {
    return this.sys.channel.sent
      .map((text) => parseGuestMessage(text))
      .filter((message) => message.type === 'event');
  }

  /** Starts a container; the pod is configured by the first one. Returns its pid. */
  async start(container: ContainerConfig = containerConfig()): Promise<number> {
    const pod = this.#isPodConfigured ? null : podConfig();
    this.#isPodConfigured = true;
    const result = await this.request('start', { pod, container });
    if (typeof result !== 'object' || result === null || !('pid' in result)) {
      throw new Error(`not started: ${JSON.stringify(result)}`);
    }
    return result.pid as number;
  }
}

export function podConfig(changes: Partial<PodConfig> = {}): PodConfig {
  const entropy = 'c2VlZA==';
  return { hostname: 'pod', clockUnixMs: 1e12, entropy, interfaces: [], routes: [], ...changes };
}

export function processConfig(changes: Partial<ProcessConfig> = {}): ProcessConfig {
  return {
    args: ['sh'],
    env: ['PATH=/bin'],
    cwd: '/',
    user: '',
    additionalGroups: [],
    tty: false,
    consoleSize: null,
    capabilities: ['CAP_CHOWN'],
    noNewPrivileges: false,
    seccompProgram: null,
    rlimits: [],
    oomScoreAdj: 0,
    streams: streams(1),
    ...changes,
  };
}

export function containerConfig(changes: Partial<ContainerConfig> = {}): ContainerConfig {
  return {
    id: 'c1',
    rootfs: {
      layers: ['layer-base', 'layer-top'],
      writableDisk: 'disk-c1',
      readOnly: false,
    },
    hostname: 'web',
    domainname: '',
    hostsFile: '127.0.0.1 localhost\n',
    resolvConfFile: 'nameserver 127.0.0.11\n',
    mounts: [],
    shmSizeBytes: 67108864,
    sysctls: {},
    resources: {
      memoryBytes: null,
      memorySwapBytes: null,
      memoryReservationBytes: null,
      cpuQuotaMicros: null,
      cpuPeriodMicros: 100000,
      cpuWeight: null,
      cpusetCpus: null,
      cpusetMems: null,
      pidsLimit: null,
    },
    deviceRules: [{ type: 'all', major: null, minor: null, access: 'rwm' }],
    maskedPaths: [],
    readonlyPaths: [],
    privileged: false,
    privateCgroupNamespace: true,
    init: false,
    process: processConfig(),
    ...changes,
  };
}

/** Three stream ids from `first` on. */
export function streams(first: number): StdioStreams {
  return { stdin: first, stdout: first + 1, stderr: first + 2 };
}
