import { cgroupOfProcess } from './cgroup.ts';
import type { Container, ContainerContext, StartedContainer, StartOptions } from './container.ts';
import { startContainer } from './container.ts';
import { guard } from './guard.ts';
import { planProcess, spawnPlanned } from './process-plan.ts';
import type { ContainerProcess } from './process-table.ts';
import type { AgentEvent, ContainerConfig, ExecParams, SignalParams } from './protocol/message.ts';
import { isErrno, RequestError } from './request-error.ts';

const sigkill = 9;
const freezeTimeoutMs = 2000;

/** The pod's containers, from their start until hyperd releases their first process. */
export class ContainerTable {
  readonly #context: ContainerContext;
  readonly #publish: (event: AgentEvent) => void;
  readonly #containers = new Map<string, Container>();
  readonly #starting = new Set<string>();

  constructor(context: ContainerContext, publish: (event: AgentEvent) => void) {
    this.#context = context;
    this.#publish = publish;
  }

  async start(config: ContainerConfig, options: StartOptions): Promise<StartedContainer> {
    if (this.#containers.has(config.id) || this.#starting.has(config.id)) {
      throw new RequestError('INVALID_STATE', `container ${config.id} was started already`);
    }
    this.#starting.add(config.id);
    try {
      const started = await startContainer(this.#context, config, options);
      this.#containers.set(config.id, started.container);
      this.#watchMemory(started.container);
      return started;
    } finally {
      this.#starting.delete(config.id);
    }
  }

  #watchMemory(container: Container): void {
    const { sys } = this.#context;
    try {
      const stop = sys.onPriorityEvent(
        `${container.cgroup.path}/memory.events`,
        null,
        guard(sys, 'a memory event', () => {
          this.#tellOomKills(container);
        }),
      );
      container.undo.add('ending the memory watch', stop);
    } catch (error) {
      // The container runs; its kills are still found out when a process ends.
      sys.log(`hyperstart: watching the memory of ${container.id}: ${String(error)}`);
    }
  }

  #tellOomKills(container: Container): void {
    const kills = container.cgroup.oomKills();
    if (kills <= container.oomKillsTold) return;
    container.oomKillsTold = kills;
    this.#publish({ type: 'event', event: 'oom', containerId: container.id });
  }

  /** Whether the end of a process was for want of memory: Docker blames the container's first one for any. */
  wasOomKilled(process: ContainerProcess, signal: number | null): boolean {
    const container = this.#containers.get(process.containerId);
    if (container === undefined) return false;
    this.#tellOomKills(container);
    return container.oomKillsTold > 0 && (process.execId === null || signal === sigkill);
  }

  exec({ containerId, execId, process: config }: ExecParams): number {
    const { sys, processes } = this.#context;
    const container = this.requireRunning(containerId);
    const ref = { containerId, execId };
    if (container.cgroup.isFrozen()) {
      throw new RequestError('INVALID_STATE', `container ${containerId} is paused`);
    }
    if (processes.find(ref) !== undefined) {
      throw new RequestError('INVALID_STATE', `exec ${execId} was started already`);
    }
    processes.assertStreamsFree(config.streams);
    const { pid } = container.process;
    const spawned = spawnPlanned(sys, {
      ...planProcess(sys, `/proc/${String(pid)}/root`, config),
      cgroup: cgroupOfProcess(sys, container.cgroup, pid),
      init: false,
      namespaces: { kind: 'join', pid },
    });
    return processes.add(ref, config.streams, spawned).pid;
  }

  signal({ containerId, execId, signal, all }: SignalParams): void {
    const { sys, processes } = this.#context;
    if (!all) {
      const { pid } = processes.requireRunning({ containerId, execId });
      sys.signalProcess(pid, signal);
      return;
    }
    const { cgroup } = this.requireRunning(containerId);
    if (signal === sigkill) {
      cgroup.kill();
      return;
    }
    for (const pid of cgroup.processIds()) {
      try {
        sys.signalProcess(pid, signal);
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error;
      }
    }
  }

  /** Resolves when all processes stand still. */
  async pause(containerId: string): Promise<void> {
    const { sys } = this.#context;
    const { cgroup } = this.requireRunning(containerId);
    if (cgroup.isFrozen()) {
      throw new RequestError('INVALID_STATE', `container ${containerId} is paused already`);
    }
    cgroup.setFrozen(true);
    if (cgroup.isFrozen()) return;
    const isFrozen = await new Promise<boolean>((resolve) => {
      const settle = (): void => {
        stop();
        resolve(cgroup.isFrozen());
      };
      const stop = sys.onPriorityEvent(
        `${cgroup.path}/cgroup.events`,
        null,
        guard(sys, 'a cgroup event', () => {
          if (cgroup.isFrozen()) settle();
        }),
      );
      sys.setTimer(freezeTimeoutMs, guard(sys, 'a freeze timeout', settle));
      // It may have come to a stand before the watch was set.
      if (cgroup.isFrozen()) settle();
    });
    if (!isFrozen) {
      cgroup.setFrozen(false);
      throw new RequestError('INTERNAL', `container ${containerId} did not stand still in time`);
    }
  }

  resume(containerId: string): void {
    const { cgroup } = this.requireRunning(containerId);
    if (!cgroup.isFrozen()) {
      throw new RequestError('INVALID_STATE', `container ${containerId} is not paused`);
    }
    cgroup.setFrozen(false);
  }

  requireRunning(containerId: string): Container {
    const container = this.#containers.get(containerId);
    if (container === undefined) {
      throw new RequestError('NOT_FOUND', `container ${containerId} is not known`);
    }
    if (container.process.exit !== null) {
      throw new RequestError('INVALID_STATE', `container ${containerId} is not running`);
    }
    return container;
  }

  /** Gives back what an ended container holds: its mounts, cgroup and files. */
  cleanUp(containerId: string): void {
    const { sys } = this.#context;
    this.#containers.get(containerId)?.undo.run((line) => {
      sys.log(`hyperstart: cleaning up container ${containerId}: ${line}`);
    });
  }

  /** Forgets a container whose first process was released. */
  remove(containerId: string): void {
    this.cleanUp(containerId);
    this.#containers.delete(containerId);
  }

  all(): readonly Container[] {
    return [...this.#containers.values()];
  }
}
