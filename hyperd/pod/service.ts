import type { LogEntry, LogReadOptions } from '../log/container-log.ts';
import { attachContainer, readLog } from './attach-container.ts';
import type { Container } from './container.ts';
import type {
  AttachOptions,
  ContainerService,
  ContainerStatsView,
  ContainerView,
  CreateRequest,
  EventHub,
  ExecStartOptions,
  ExecView,
  StdioSession,
  StopOptions,
  TerminalSize,
  TopResult,
  WaitCondition,
  WaitResult,
  WarmVmsView,
} from './container-service.ts';
import { isRunning, requireRun } from './container-state.ts';
import { toContainerView, toWarmVmsView } from './container-view.ts';
import type { PodContext } from './context.ts';
import { createContainer, type Created } from './create-container.ts';
import type { ExecConfig } from './docker-config.ts';
import { createExec, resizeExec, startExec } from './exec.ts';
import { toExecView } from './exec-table.ts';
import { listProcesses, readStats } from './inspect-processes.ts';
import { removeContainer } from './remove-container.ts';
import { renameContainer } from './rename-container.ts';
import { restartContainer } from './restart-container.ts';
import { startContainer } from './start-container.ts';
import { killContainer, pauseContainer, resumeContainer, stopContainer } from './stop-container.ts';

/** The door into pods: finds the container, then hands over to the operation's own file. */
export class Containers implements ContainerService {
  readonly events: EventHub;
  readonly #context: PodContext;

  constructor(context: PodContext) {
    this.#context = context;
    this.events = context.events;
  }

  create(request: CreateRequest): Promise<Created> {
    return createContainer(this.#context, request);
  }

  list(): readonly ContainerView[] {
    return this.#context.table.all().map((container) => toContainerView(this.#context, container));
  }

  get(nameOrId: string): ContainerView {
    return toContainerView(this.#context, this.#find(nameOrId));
  }

  async start(nameOrId: string, signal: AbortSignal): Promise<boolean> {
    return startContainer(this.#context, this.#find(nameOrId), signal);
  }

  async stop(nameOrId: string, options: StopOptions): Promise<boolean> {
    return stopContainer(this.#context, this.#find(nameOrId), options);
  }

  async restart(nameOrId: string, options: StopOptions): Promise<void> {
    await restartContainer(this.#context, this.#find(nameOrId), options);
  }

  async kill(nameOrId: string, signal: string): Promise<void> {
    await killContainer(this.#context, this.#find(nameOrId), signal);
  }

  async pause(nameOrId: string): Promise<void> {
    await pauseContainer(this.#context, this.#find(nameOrId));
  }

  async unpause(nameOrId: string): Promise<void> {
    await resumeContainer(this.#context, this.#find(nameOrId));
  }

  async rename(nameOrId: string, newName: string): Promise<void> {
    await renameContainer(this.#context, this.#find(nameOrId), newName);
  }

  async remove(nameOrId: string, options: { readonly force: boolean }): Promise<void> {
    await removeContainer(this.#context, this.#find(nameOrId), options);
  }

  async resize(nameOrId: string, size: TerminalSize): Promise<void> {
    const { id, state } = this.#find(nameOrId);
    const { agent } = requireRun(id, state).machine;
    const limit = AbortSignal.timeout(this.#context.deadlines.requestMs);
    await agent.request('resize', { containerId: id, execId: null, ...size }, limit);
  }

  wait(
    nameOrId: string,
    condition: WaitCondition,
    signal: AbortSignal,
  ): { readonly exited: Promise<WaitResult> } {
    const container = this.#find(nameOrId);
    const { state, lastExit } = container;
    if (condition === 'not-running' && !isRunning(state) && state.status !== 'restarting') {
      const { exitCode, error } = lastExit;
      return { exited: Promise.resolve({ exitCode, error: error === '' ? null : error }) };
    }
    return { exited: container.waits.wait(condition, signal) };
  }

  async attach(nameOrId: string, options: AttachOptions): Promise<StdioSession> {
    return attachContainer(this.#context, this.#find(nameOrId), options);
  }

  async *logs(
    nameOrId: string,
    options: LogReadOptions,
    signal: AbortSignal,
  ): AsyncIterable<LogEntry> {
    yield* readLog(this.#context, this.#find(nameOrId), options, signal);
  }

  async top(nameOrId: string): Promise<TopResult> {
    return listProcesses(this.#context, this.#find(nameOrId));
  }

  async stats(nameOrId: string): Promise<ContainerStatsView> {
    return readStats(this.#context, this.#find(nameOrId));
  }

  createExec(nameOrId: string, config: ExecConfig): string {
    return createExec(this.#context, this.#find(nameOrId), config);
  }

  getExec(execId: string): ExecView {
    return toExecView(this.#context.execs.get(execId));
  }

  async startExec(execId: string, options: ExecStartOptions): Promise<StdioSession | null> {
    return startExec(this.#context, this.#context.execs.get(execId), options);
  }

  async resizeExec(execId: string, size: TerminalSize): Promise<void> {
    await resizeExec(this.#context, this.#context.execs.get(execId), size);
  }

  warmVms(): WarmVmsView {
    return toWarmVmsView(this.#context);
  }

  /** Lets go of everything; the VMs run on. */
  async letGo(): Promise<void> {
    await Promise.all([
      ...this.#context.table.all().map((container) => letGo(container)),
      ...this.#context.leaving,
    ]);
  }

  #find(nameOrId: string): Container {
    return this.#context.table.get(nameOrId);
  }
}

async function letGo(container: Container): Promise<void> {
  // An operation in flight ends first: the closing signal has cut it.
  await container.pod.mutex.run(async () => {
    if (isRunning(container.state)) container.state.run.machine.letGo();
    container.stdio.end();
    await container.log?.[Symbol.asyncDispose]();
    container.log = null;
  });
}
