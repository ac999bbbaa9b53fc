import { HyperError } from '../base/error.ts';
import type { ContainerStateView, ContainerStatus } from './container-service.ts';
import type { Run } from './run.ts';

/** How a container's last life ended. */
export interface ContainerExit {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** '' unless the container could not be started or its VM was lost. */
  readonly error: string;
  readonly startedUnixMs: number | null;
  readonly finishedUnixMs: number | null;
}

/** A container's state with what exists in it: only a running or paused one has a process to talk to. */
export type ContainerState =
  | { readonly status: 'created'; readonly exit: ContainerExit }
  | { readonly status: 'running' | 'paused'; readonly run: Run; readonly startedUnixMs: number }
  /** Ended; its restart policy will start it again. */
  | { readonly status: 'restarting'; readonly exit: ContainerExit }
  | { readonly status: 'exited'; readonly exit: ContainerExit }
  | { readonly status: 'removing'; readonly exit: ContainerExit }
  /** Its removal failed half-way; only another removal may follow. */
  | { readonly status: 'dead'; readonly exit: ContainerExit };

export type RunningState = Extract<ContainerState, { status: 'running' | 'paused' }>;
export type EndedState = Exclude<ContainerState, RunningState>;

/** What may follow each state; a failed start goes back to where it came from. */
const moves: Readonly<Record<ContainerStatus, readonly ContainerStatus[]>> = {
  created: ['created', 'running', 'removing'],
  running: ['paused', 'restarting', 'exited'],
  paused: ['running', 'restarting', 'exited'],
  restarting: ['running', 'restarting', 'exited', 'removing'],
  exited: ['exited', 'running', 'removing'],
  removing: ['dead'],
  dead: ['removing'],
};

export const neverRan: ContainerExit = {
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedUnixMs: null,
  finishedUnixMs: null,
};

/** A programmer error when the move is not in the table: callers check first and word the refusal. */
export function assertMove(from: ContainerStatus, to: ContainerStatus): void {
  if (!moves[from].includes(to)) {
    throw new Error(`a container cannot go from ${from} to ${to}`);
  }
}

export function isRunning(state: ContainerState): state is RunningState {
  return state.status === 'running' || state.status === 'paused';
}

/** The process of a container that runs, paused or not; CONFLICT in Docker's words otherwise. */
export function requireRun(id: string, state: ContainerState): Run {
  if (isRunning(state)) return state.run;
  throw new HyperError(
    'CONFLICT',
    state.status === 'restarting'
      ? `Container ${id} is restarting, wait until the container is running`
      : `container ${id} is not running`,
  );
}

export function toStateView(state: ContainerState): ContainerStateView {
  if (isRunning(state)) {
    return {
      status: state.status,
      exitCode: 0,
      error: '',
      oomKilled: false,
      pid: state.run.machine.vm.record.pid,
      startedUnixMs: state.startedUnixMs,
      finishedUnixMs: null,
    };
  }
  return { status: state.status, pid: 0, ...state.exit };
}
