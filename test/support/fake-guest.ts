import { PassThrough, Writable } from 'node:stream';

import { AgentError } from '../../hyperd/agent/agent-error.ts';
import { unlessAborted } from '../../hyperd/base/deadline.ts';
import { HyperError } from '../../hyperd/base/error.ts';
import type {
  Device,
  HypervisorDriver,
  PluggedDevice,
  TemplateAbility,
  Vm,
  VmConfig,
  VmExit,
  VmRecord,
} from '../../hyperd/hypervisor/driver.ts';
import type { AgentConnection, ConnectAgent } from '../../hyperd/pod/agent-connection.ts';
import type {
  AgentEvent,
  MethodName,
  Methods,
  ProcessConfig,
  ProcessExit,
  ProcessRef,
  StartParams,
} from '../../hyperstart/protocol/message.ts';
import { protocolVersion } from '../../hyperstart/protocol/version.ts';
import { GuestOutput } from './guest-output.ts';

/** What a scripted program of a fake guest can do. */
export interface ProgramIo {
  readonly config: ProcessConfig;
  write(text: string, stream?: 'stdout' | 'stderr'): Promise<void>;
  /** Everything until end of file. */
  readInput(): Promise<string>;
  readonly killed: Promise<number>;
}

/** Resolves with the exit code; signals other than those it handles itself end it with 128 + number. */
export type Program = (io: ProgramIo) => Promise<number>;

interface GuestProcess {
  readonly ref: ProcessRef;
  readonly config: ProcessConfig;
  readonly kill: (signal: number) => void;
  exit: ProcessExit | null;
}

/** A guest in memory that runs scripted programs, by the first word of their command line. */
export class FakeGuest {
  readonly programs = new Map<string, Program>();
  readonly requests: { readonly method: string; readonly params: unknown }[] = [];
  /** Thrown by the next request of a method. */
  readonly failures = new Map<string, Error>();
  /** null: answers at once; else the hello never comes. */
  isSilent = false;
  lastStart: StartParams | null = null;
  /** Comes before each of these calls to its VM, which fails with what it throws. */
  beforeCall: (call: 'plug' | 'resume') => void = () => undefined;
  /** Serials of the disks that are there. */
  readonly disks = new Set<string>();
  #isConfigured = false;
  #paused: PromiseWithResolvers<undefined> | null = null;
  readonly #gone = new AbortController();
  readonly exited: Promise<VmExit>;
  readonly #settleExit: (exit: VmExit) => void;
  readonly #processes = new Map<string, GuestProcess>();
  readonly #outputs = new Map<number, GuestOutput>();
  readonly #inputs = new Map<number, PassThrough>();
  #onEvent: ((event: AgentEvent) => void) | null = null;
  #hangUp: (() => void) | null = null;
  #nextPid = 100;
  #nextStream = 1;

  constructor() {
    const exit = Promise.withResolvers<VmExit>();
    this.exited = exit.promise;
    this.#settleExit = exit.resolve;
  }

  get isPaused(): boolean {
    return this.#paused !== null;
  }

  /** Stops the processors: nothing is answered until `resume`. */
  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  resume(): void {
    this.#paused?.resolve(undefined);
    this.#paused = null;
  }

  /** Aborts when the machine goes. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** The machine goes, by itself or from outside. */
  end(exit: VmExit): void {
    this.#settleExit(exit);
    this.#gone.abort(new HyperError('UNAVAILABLE', 'the fake VM has ended'));
    for (const output of this.#outputs.values()) output.hangUp();
    this.#hangUp?.();
  }

  connect(onEvent: (event: AgentEvent) => void): AgentConnection {
    const { promise: closed, resolve } = Promise.withResolvers<null>();
    this.#hangUp = () => {
      resolve(null);
    };
    this.#onEvent = onEvent;
    return {
      hello: {
        type: 'hello',
        protocolVersion,
        kernelRelease: '6.12.0-fake',
        bootTimeline: { kernel: 0.02, mounts: 0.03, channel: 0.04 },
        memoryTotalKiB: 1000,
        memoryFreeKiB: 900,
        processes: [...this.#processes.values()].map(({ ref, config, exit }) => ({
          ...ref,
          streams: config.streams,
          exit,
        })),
      },
      closed,
      request: (method, params, signal) => this.#request(method, params, signal),
      allocateStreamId: () => this.#nextStream++,
      openReadable: (id) => this.#output(id).open(),
      openWritable: (id) => this.#writable(id),
      close: () => {
        this.#onEvent = null;
        for (const output of this.#outputs.values()) output.hangUp();
        resolve(null);
      },
    };
  }

  async #request<M extends MethodName>(
    method: M,
    params: Methods[M]['params'],
    signal: AbortSignal,
  ): Promise<Methods[M]['result']> {
    const cut = AbortSignal.any([signal, this.gone]);
    cut.throwIfAborted();
    if (this.#paused !== null) await unlessAborted(this.#paused.promise, cut);
    this.requests.push({ method, params });
    const failure = this.failures.get(method);
    if (failure !== undefined) throw failure;
    const result = await Promise.resolve(this.#handle(method, params));
    return result as Methods[M]['result'];
  }

  #handle(method: MethodName, params: unknown): unknown {
    switch (method) {
      case 'start': {
        const start = params as StartParams;
        this.#checkStart(start);
        this.lastStart = start;
        this.#isConfigured = true;
        const ref = { containerId: start.container.id, execId: null };
        const pid = this.#spawn(ref, start.container.process);
        return { pid, timeline: { network: 1, mounts: 2, process: 3 } };
      }
      case 'exec': {
        const { process, ...ref } = params as Methods['exec']['params'];
        return { pid: this.#spawn(ref, process) };
      }
      case 'signal': {
        const { signal, ...ref } = params as Methods['signal']['params'];
        this.#processes.get(keyOf(ref))?.kill(signal);
        return {};
      }
      case 'shutdown':
        setImmediate(() => {
          this.end({ reason: 'stopped' });
        });
        return {};
      case 'resize':
      case 'pause':
      case 'resume':
      case 'stats':
      case 'processes':
      case 'trim':
        return {};
      case 'release':
        this.#processes.delete(keyOf(params as ProcessRef));
        return {};
      case 'park':
        if (this.#processes.size > 0) {
          throw new AgentError('INVALID_STATE', 'the pod is in use');
        }
        this.#isConfigured = false;
        return {};
    }
  }

  #checkStart({ pod, container }: StartParams): void {
    if (pod !== null && this.#isConfigured) {
      throw new AgentError('INVALID_STATE', 'the pod is configured already');
    }
    const { layers, writableDisk } = container.rootfs;
    const missing = [...layers, writableDisk].find((serial) => !this.disks.has(serial));
    if (missing !== undefined) throw new AgentError('NOT_FOUND', `disk ${missing} did not appear`);
  }

  #spawn(ref: ProcessRef, config: ProcessConfig): number {
    const name = config.args[0] ?? '';
    const program = this.programs.get(name);
    if (program === undefined) {
      throw new AgentError(
        'COMMAND_NOT_FOUND',
        `exec: ${JSON.stringify(name)}: executable file not found in $PATH`,
      );
    }
    const { promise: killed, resolve: kill } = Promise.withResolvers<number>();
    const process: GuestProcess = { ref, config, kill, exit: null };
    this.#processes.set(keyOf(ref), process);
    const { stdin, stdout, stderr } = config.streams;
    const io: ProgramIo = {
      config,
      killed,
      write: (text, stream = 'stdout') => {
        const id = stream === 'stdout' ? stdout : stderr;
        return id === null ? Promise.resolve() : this.#output(id).write(Buffer.from(text));
      },
      readInput: async () => {
        const chunks: Buffer[] = [];
        if (stdin !== null) {
          for await (const chunk of this.#input(stdin)) chunks.push(chunk as Buffer);
        }
        return Buffer.concat(chunks).toString();
      },
    };
    const ended = Promise.race([program(io), killed.then((signal) => 128 + signal)]);
    void ended.then((exitCode) => {
      this.#exit(process, exitCode);
    });
    return this.#nextPid++;
  }

  #exit(process: GuestProcess, exitCode: number): void {
    const { stdout, stderr } = process.config.streams;
    for (const id of [stdout, stderr]) if (id !== null) this.#output(id).end();
    const signal = exitCode > 128 ? exitCode - 128 : null;
    process.exit = { exitCode, signal, oomKilled: exitCode === 137 && this.isOom };
    this.#onEvent?.({ type: 'event', event: 'exit', ...process.ref, exit: process.exit });
  }

  /** Blames the want of memory for SIGKILLs. */
  isOom = false;

  #output(id: number): GuestOutput {
    const output = this.#outputs.get(id) ?? new GuestOutput();
    this.#outputs.set(id, output);
    return output;
  }

  #input(id: number): PassThrough {
    const input = this.#inputs.get(id) ?? new PassThrough();
    this.#inputs.set(id, input);
    return input;
  }

  #writable(id: number): Writable {
    const input = this.#input(id);
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        input.write(chunk, done);
      },
      final: (done) => {
        input.end();
        done();
      },
    });
  }
}

class GuestChannel extends PassThrough {
  readonly guest: FakeGuest;

  constructor(guest: FakeGuest) {
    super();
    this.guest = guest;
  }
}

/** Opens the agent of a fake guest. */
export const connectFakeAgent: ConnectAgent = async (channel, { onEvent, signal }) => {
  if (!(channel instanceof GuestChannel)) throw new Error('not the channel of a fake guest');
  const { guest } = channel;
  if (guest.isSilent) {
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    });
  }
  return guest.connect(onEvent);
};

/** Launches fake guests; they outlive what "daemon" uses them, as VMs do. */
export class FakeGuestDriver implements HypervisorDriver {
  readonly name = 'fake';
  readonly version = '1';
  readonly features = {
    channels: ['control'],
    hotplug: [],
    pause: true,
    hardwareAccelerated: true,
  } as const;
  /** To be set before the daemon opens. */
  templates: TemplateAbility | null = null;
  readonly launched: VmConfig[] = [];
  readonly alive = new Map<string, FakeGuest>();
  launchFailure: Error | null = null;
  prepare: (guest: FakeGuest) => void = () => undefined;

  launch(config: VmConfig): Promise<Vm> {
    this.launched.push(config);
    if (this.launchFailure !== null) return Promise.reject(this.launchFailure);
    const guest = this.power(config.id);
    for (const { id } of config.devices) guest.disks.add(id);
    return Promise.resolve(new FakeVm(guest, config));
  }

  /** A new guest that runs. */
  power(id: string): FakeGuest {
    const guest = new FakeGuest();
    this.prepare(guest);
    this.alive.set(id, guest);
    void guest.exited.then(() => this.alive.delete(id));
    return guest;
  }

  adopt(record: VmRecord): Promise<Vm> {
    const guest = this.alive.get(record.id);
    if (guest === undefined) {
      return Promise.reject(new HyperError('NOT_FOUND', `VM ${record.id} is gone`));
    }
    return Promise.resolve(new FakeVm(guest, record));
  }

  /** The only guest that is alive. */
  get guest(): FakeGuest {
    const [guest] = this.alive.values();
    if (guest === undefined) throw new Error('no guest is alive');
    return guest;
  }
}

export class FakeVm implements Vm {
  readonly id: string;
  readonly record: VmRecord;
  readonly exited: Promise<VmExit>;
  readonly timeline = { spawn: 1 };
  readonly sharedMemory = null;
  readonly #guest: FakeGuest;
  /** Disk by free or taken slot. */
  readonly #slots: Map<string, string | null>;

  constructor(
    guest: FakeGuest,
    { id, runDirectory }: { readonly id: string; readonly runDirectory: string },
    slots: readonly string[] = [],
  ) {
    this.#guest = guest;
    this.#slots = new Map(slots.map((slot) => [slot, null]));
    this.id = id;
    this.exited = guest.exited;
    this.record = { hypervisor: 'fake', id, runDirectory, pid: 4242, startTicks: 1 };
  }

  get isPaused(): boolean {
    return this.#guest.isPaused;
  }

  connect(): Promise<GuestChannel> {
    return Promise.resolve(new GuestChannel(this.#guest));
  }

  consoleTail(): string {
    return 'Linux version 6.12.0-fake\nhyperstart: hello\n';
  }

  async plug(device: Device): Promise<PluggedDevice> {
    await this.#call('plug');
    const letter = device.kind === 'disk' && device.readOnly ? 'r' : 'w';
    const free = [...this.#slots].find(([slot, id]) => slot.startsWith(letter) && id === null);
    if (device.kind !== 'disk' || free === undefined) {
      throw new HyperError('UNSUPPORTED', 'no hotplug');
    }
    const [guestName] = free;
    this.#slots.set(guestName, device.id);
    this.#guest.disks.add(guestName);
    return { id: device.id, guestName };
  }

  unplug(deviceId: string): Promise<void> {
    for (const [slot, id] of this.#slots) {
      if (id !== deviceId) continue;
      this.#slots.set(slot, null);
      this.#guest.disks.delete(slot);
    }
    return Promise.resolve();
  }

  pause(): Promise<void> {
    this.#guest.pause();
    return Promise.resolve();
  }

  async resume(): Promise<void> {
    await this.#call('resume');
    this.#guest.resume();
  }

  stop(): Promise<VmExit> {
    this.#guest.end({ reason: 'stopped' });
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** As when the hypervisor's monitor is asked. */
  #call(call: 'plug' | 'resume'): Promise<void> {
    this.#guest.beforeCall(call);
    this.#guest.gone.throwIfAborted();
    return Promise.resolve();
  }
}

function keyOf({ containerId, execId }: ProcessRef): string {
  return `${containerId}/${execId ?? ''}`;
}
