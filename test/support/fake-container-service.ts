import { randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';

import { HyperError } from '../../hyperd/base/error.ts';
import type { ImageStore } from '../../hyperd/image/image-store.ts';
import type { LogEntry, LogReadOptions } from '../../hyperd/log/container-log.ts';
import type {
  AttachOptions,
  ContainerService,
  ContainerStatsView,
  ContainerView,
  CreateRequest,
  EventHub,
  ExecStartOptions,
  ExecView,
  OutputChunk,
  StdioSession,
  StopOptions,
  TerminalSize,
  TopResult,
  WaitCondition,
  WaitResult,
  WarmVmsView,
} from '../../hyperd/pod/container-service.ts';
import type { ExecConfig } from '../../hyperd/pod/docker-config.ts';
import { FakeContainer, fakeStats, waitFor } from './fake-container.ts';
import { FakeEventHub } from './fake-event-hub.ts';
import { FakeProcess } from './fake-process.ts';

/**
 * Containers without VMs: processes are little programs (`echo`, `cat`, `sh`, `sleep`, `false`, …)
 * that run in this very process, so that the API can be tried with real clients.
 */
export class FakeContainerService implements ContainerService {
  readonly events: EventHub = new FakeEventHub();
  /** What was asked for, for tests to look at. */
  readonly created: CreateRequest[] = [];
  readonly resized: TerminalSize[] = [];
  readonly stopped: StopOptions[] = [];
  /** What the next containers are created with. */
  warnings: readonly string[] = [];
  warm: WarmVmsView = { templates: false, poolSize: 0, waiting: [], parents: [] };
  /** Sessions that clients hold at this moment. */
  openSessions = 0;
  readonly #images: Pick<ImageStore, 'get'>;
  readonly #containers = new Map<string, FakeContainer>();
  readonly #execs = new Map<string, FakeExec>();

  constructor(images: Pick<ImageStore, 'get'>) {
    this.#images = images;
  }

  async create(request: CreateRequest): Promise<{ id: string; warnings: readonly string[] }> {
    const image = this.#images.get(request.config.Image);
    const name = request.name ?? `fake_${String(this.#containers.size)}`;
    const taken = this.list().find((view) => view.name === name);
    if (taken !== undefined) {
      throw new HyperError(
        'CONFLICT',
        `Conflict. The container name "/${name}" is already in use by container "${taken.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    this.created.push(request);
    const container = new FakeContainer(request, name, image.id, image.config.Cmd ?? ['sh']);
    this.#containers.set(container.id, container);
    this.#publish(container, 'create');
    return Promise.resolve({ id: container.id, warnings: this.warnings });
  }

  warmVms(): WarmVmsView {
    return this.warm;
  }

  list(): readonly ContainerView[] {
    return [...this.#containers.values()].map((container) => container.view());
  }

  get(nameOrId: string): ContainerView {
    return this.#find(nameOrId).view();
  }

  async start(nameOrId: string): Promise<boolean> {
    const container = this.#find(nameOrId);
    if (container.status === 'running' || container.status === 'paused') {
      return false;
    }
    try {
      container.start();
    } catch (cause) {
      if (container.request.hostConfig.AutoRemove === true) {
        this.#delete(container);
      }
      throw cause;
    }
    this.#publish(container, 'start');
    void container.process.exited.then(() => {
      this.#publish(container, 'die', { exitCode: String(container.process.exitCode) });
      if (container.request.hostConfig.AutoRemove === true) {
        this.#delete(container);
      }
    });
    return Promise.resolve(true);
  }

  async stop(nameOrId: string, options: StopOptions): Promise<boolean> {
    const container = this.#find(nameOrId);
    this.stopped.push(options);
    if (!container.isRunning) {
      return false;
    }
    container.process.kill(15);
    await container.process.exited;
    return true;
  }

  async restart(nameOrId: string, options: StopOptions): Promise<void> {
    await this.stop(nameOrId, options);
    await this.start(nameOrId);
  }

  async kill(nameOrId: string, signal: string): Promise<void> {
    const container = this.#find(nameOrId);
    this.#requireRunning(container);
    const numbers: Readonly<Record<string, number>> = { SIGKILL: 9, SIGTERM: 15, SIGINT: 2 };
    container.process.kill(numbers[signal] ?? 9);
    return Promise.resolve();
  }

  async pause(nameOrId: string): Promise<void> {
    const container = this.#find(nameOrId);
    this.#requireRunning(container);
    container.status = 'paused';
    return Promise.resolve();
  }

  async unpause(nameOrId: string): Promise<void> {
    const container = this.#find(nameOrId);
    if (container.status !== 'paused') {
      throw new HyperError('CONFLICT', `Container ${container.id} is not paused`);
    }
    container.status = 'running';
    return Promise.resolve();
  }

  async rename(nameOrId: string, newName: string): Promise<void> {
    this.#find(nameOrId).name = newName.replace(/^\//, '');
    return Promise.resolve();
  }

  async remove(nameOrId: string, options: { readonly force: boolean }): Promise<void> {
    const container = this.#find(nameOrId);
    if (container.isRunning) {
      if (!options.force) {
        throw new HyperError(
          'CONFLICT',
          `cannot remove container "/${container.name}": container is running: stop the container before removing or force remove`,
        );
      }
      container.process.kill(9);
      await container.process.exited;
    }
    this.#delete(container);
  }

  async resize(nameOrId: string, size: TerminalSize): Promise<void> {
    this.#requireRunning(this.#find(nameOrId));
    this.resized.push(size);
    return Promise.resolve();
  }

  wait(
    nameOrId: string,
    condition: WaitCondition,
    signal: AbortSignal,
  ): { readonly exited: Promise<WaitResult> } {
    return { exited: waitFor(this.#find(nameOrId), condition, signal) };
  }

  async attach(nameOrId: string, options: AttachOptions): Promise<StdioSession> {
    const container = this.#find(nameOrId);
    const { OpenStdin, Tty } = container.request.config;
    return Promise.resolve(
      this.#openSession(container.process, {
        stdin: options.stdin && OpenStdin === true,
        tty: Tty === true,
        replay: options.logs,
        stream: options.stream,
      }),
    );
  }

  async *logs(
    nameOrId: string,
    options: LogReadOptions,
    signal: AbortSignal,
  ): AsyncIterable<LogEntry> {
    const container = this.#find(nameOrId);
    if (container.request.hostConfig.LogConfig?.Type === 'none') {
      throw new HyperError('INVALID_STATE', 'configured logging driver does not support reading');
    }
    const from = options.tail === null ? 0 : -options.tail;
    yield* toEntries(container.process.history.slice(from || undefined), options);
    if (options.follow && container.isRunning) {
      const live = container.process.subscribe(false);
      signal.addEventListener('abort', () => live.destroy());
      yield* toEntries(live as AsyncIterable<OutputChunk>, options);
    }
  }

  async top(nameOrId: string): Promise<TopResult> {
    this.#requireRunning(this.#find(nameOrId));
    return Promise.resolve({ titles: ['PID', 'CMD'], processes: [['1', 'sh']] });
  }

  async stats(nameOrId: string): Promise<ContainerStatsView> {
    this.#requireRunning(this.#find(nameOrId));
    return Promise.resolve(fakeStats());
  }

  createExec(nameOrId: string, config: ExecConfig): string {
    const container = this.#find(nameOrId);
    if (!container.isRunning) {
      throw new HyperError('CONFLICT', `container ${container.id} is not running`);
    }
    const id = randomBytes(32).toString('hex');
    this.#execs.set(id, { containerId: container.id, config, process: null });
    return id;
  }

  getExec(execId: string): ExecView {
    const exec = this.#findExec(execId);
    const exitCode = exec.process?.exitCode ?? null;
    return {
      id: execId,
      containerId: exec.containerId,
      config: exec.config,
      running: exec.process !== null && exitCode === null,
      exitCode,
      pid: exec.process === null ? 0 : 7,
    };
  }

  async startExec(execId: string, options: ExecStartOptions): Promise<StdioSession | null> {
    const exec = this.#findExec(execId);
    if (exec.process !== null) {
      throw new HyperError('CONFLICT', `exec ${execId} has already run`);
    }
    const { Cmd, AttachStdin } = exec.config;
    exec.process = new FakeProcess();
    exec.process.run(Cmd);
    if (exec.process.startError !== null) {
      throw new HyperError('INVALID_ARGUMENT', exec.process.startError);
    }
    return Promise.resolve(
      options.detach
        ? null
        : this.#openSession(exec.process, {
            stdin: AttachStdin === true,
            tty: options.tty,
            replay: true,
            stream: true,
          }),
    );
  }

  async resizeExec(execId: string, size: TerminalSize): Promise<void> {
    this.#findExec(execId);
    this.resized.push(size);
    return Promise.resolve();
  }

  #openSession(
    process: FakeProcess,
    options: { stdin: boolean; tty: boolean; replay: boolean; stream: boolean },
  ): StdioSession {
    this.openSessions += 1;
    const output = options.stream
      ? process.subscribe(options.replay)
      : Readable.from(options.replay ? [...process.history] : []);
    const detached = Promise.withResolvers<undefined>();
    const stdin = options.stdin ? new PassThrough() : null;
    stdin?.on('data', (bytes: Buffer) => {
      if (bytes.includes('\x10\x11')) {
        detached.resolve(undefined);
        output.push(null);
        return;
      }
      process.input.write(bytes);
    });
    stdin?.once('end', () => process.input.end());
    return {
      tty: options.tty,
      stdin,
      output,
      detached: detached.promise,
      [Symbol.asyncDispose]: () => {
        this.openSessions -= 1;
        output.destroy();
        return Promise.resolve();
      },
    };
  }

  #delete(container: FakeContainer): void {
    this.#containers.delete(container.id);
    container.removed.resolve(undefined);
    this.#publish(container, 'destroy');
  }

  #publish(container: FakeContainer, action: string, more: Record<string, string> = {}): void {
    this.events.publish({
      type: 'container',
      action,
      actorId: container.id,
      attributes: { image: container.request.config.Image, name: container.name, ...more },
      unixNanos: BigInt(Date.now()) * 1_000_000n,
    });
  }

  #find(nameOrId: string): FakeContainer {
    const wanted = nameOrId.replace(/^\//, '');
    const found = [...this.#containers.values()].find(
      ({ id, name }) => name === wanted || (wanted.length > 3 && id.startsWith(wanted)),
    );
    if (found === undefined) {
      throw new HyperError('NOT_FOUND', `No such container: ${nameOrId}`);
    }
    return found;
  }

  #findExec(execId: string): FakeExec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) {
      throw new HyperError('NOT_FOUND', `No such exec instance: ${execId}`);
    }
    return exec;
  }

  #requireRunning(container: FakeContainer): void {
    if (!container.isRunning) {
      throw new HyperError('CONFLICT', `container ${container.id} is not running`);
    }
  }
}

interface FakeExec {
  readonly containerId: string;
  readonly config: ExecConfig;
  process: FakeProcess | null;
}

async function* toEntries(
  chunks: Iterable<OutputChunk> | AsyncIterable<OutputChunk>,
  options: LogReadOptions,
): AsyncIterable<LogEntry> {
  let unixNanos = 1_700_000_000_000_000_001n;
  for await (const { stream, bytes } of chunks) {
    if (stream === 'stdout' ? options.stdout : options.stderr) {
      yield { stream, bytes, unixNanos, attributes: {} };
    }
    unixNanos += 1_000_000n;
  }
}
