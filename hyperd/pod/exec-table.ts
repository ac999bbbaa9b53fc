import { HyperError } from '../base/error.ts';
import type { ExecView } from './container-service.ts';
import type { ExecConfig } from './docker-config.ts';
import type { StdioHub } from './stdio/stdio-hub.ts';

/** A further process of a container, from its creation on. */
export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly config: ExecConfig;
  state: ExecState;
}

export type ExecState =
  | { readonly status: 'created' | 'starting' }
  | { readonly status: 'running'; readonly pid: number; readonly stdio: StdioHub }
  | { readonly status: 'exited'; readonly exitCode: number };

/** How many ended execs of one container can still be inspected. */
const keptEnded = 64;

/** The execs, in memory only: they end with their container, and Docker forgets them as well. */
export class ExecTable {
  readonly #execs = new Map<string, Exec>();

  add(exec: Exec): void {
    this.#execs.set(exec.id, exec);
    const ended = this.#of(exec.containerId).filter(({ state }) => state.status === 'exited');
    for (const { id } of ended.slice(0, -keptEnded)) this.#execs.delete(id);
  }

  /** NOT_FOUND in Docker's words. */
  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw new HyperError('NOT_FOUND', `No such exec instance: ${id}`);
    return exec;
  }

  /** Those that `inspect` lists: not ended yet. */
  idsOf(containerId: string): readonly string[] {
    return this.#of(containerId)
      .filter(({ state }) => state.status !== 'exited')
      .map(({ id }) => id);
  }

  /** Whatever still ran ended with its container. */
  containerEnded(containerId: string): void {
    for (const exec of this.#of(containerId)) {
      if (exec.state.status === 'created') this.#execs.delete(exec.id);
      else if (exec.state.status === 'running') {
        const { stdio } = exec.state;
        exec.state = { status: 'exited', exitCode: 137 };
        stdio.relax();
        stdio.end();
      }
    }
  }

  removeOf(containerId: string): void {
    for (const { id } of this.#of(containerId)) this.#execs.delete(id);
  }

  #of(containerId: string): readonly Exec[] {
    return [...this.#execs.values()].filter((exec) => exec.containerId === containerId);
  }
}

export function toExecView({ id, containerId, config, state }: Exec): ExecView {
  return {
    id,
    containerId,
    config,
    running: state.status === 'running',
    exitCode: state.status === 'exited' ? state.exitCode : null,
    pid: state.status === 'running' ? state.pid : 0,
  };
}
