import { HyperError } from '../base/error.ts';
import type { ContainerLog } from '../log/container-log.ts';
import { nowUnixNanos } from './clock.ts';
import type { ContainerRecord, StateRecord } from './container-record.ts';
import type { EventHub } from './container-service.ts';
import {
  assertMove,
  type ContainerExit,
  type ContainerState,
  isRunning,
} from './container-state.ts';
import { ExitWaits } from './exit-waits.ts';
import { Pod } from './pod.ts';
import type { PodStore } from './pod-store.ts';
import { StdioHub } from './stdio/stdio-hub.ts';

export interface ContainerParts {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
  readonly store: PodStore;
  readonly events: EventHub;
}

/** A container: its record, its state, and who takes part in its stdio and waits for its end. */
export class Container {
  readonly id: string;
  readonly pod: Pod;
  readonly stdio: StdioHub;
  readonly waits = new ExitWaits();
  /** Open while the container runs. */
  log: ContainerLog | null = null;
  /** Starts that are under way, or wait for their turn. */
  readonly starts = new Set<AbortController>();
  /** A person asked for a restart: its end is not the one that AutoRemove means. */
  isBeingRestarted = false;
  /** Set while a restart by policy is due; aborting it cancels the restart. */
  restart: AbortController | null = null;
  /** Settles when what follows the end of the last run is done: removal, or nothing. */
  aftermath: Promise<void> = Promise.resolve();
  readonly #store: PodStore;
  readonly #events: EventHub;
  #record: ContainerRecord;
  #state: ContainerState;

  constructor({ record, state, store, events }: ContainerParts) {
    this.id = record.id;
    this.pod = new Pod(record.id);
    this.#record = record;
    this.#state = state;
    this.#store = store;
    this.#events = events;
    const { Tty: tty, OpenStdin: openStdin, StdinOnce: stdinOnce } = record.config;
    this.stdio = new StdioHub({
      tty: tty ?? false,
      openStdin: openStdin ?? false,
      stdinOnce: stdinOnce ?? false,
      onDetach: () => {
        this.publish('detach');
      },
    });
  }

  get record(): ContainerRecord {
    return this.#record;
  }

  get name(): string {
    return this.#record.name;
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** How the last life ended; `neverRan`'s values before. */
  get lastExit(): ContainerExit {
    return isRunning(this.#state) ? this.#record.state.exit : this.#state.exit;
  }

  get autoRemove(): boolean {
    return this.#record.hostConfig.AutoRemove ?? false;
  }

  /** Cuts every start that has not come to its end. */
  abortStarts(): void {
    for (const start of this.starts) {
      start.abort(new HyperError('CONFLICT', 'the start was cancelled'));
    }
  }

  /** Enters a state and records it. */
  move(next: ContainerState, changes: Partial<ContainerRecord> = {}): void {
    assertMove(this.#state.status, next.status);
    const exit = this.lastExit;
    this.#state = next;
    this.update({ ...changes, state: toStateRecord(next, exit) });
  }

  update(changes: Partial<ContainerRecord>): void {
    this.#record = { ...this.#record, ...changes };
    this.#store.saveContainer(this.#record);
  }

  /** Publishes a Docker event about this container. */
  publish(action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { effectiveConfig, imageName, name } = this.#record;
    this.#events.publish({
      type: 'container',
      action,
      actorId: this.id,
      attributes: { ...effectiveConfig.Labels, image: imageName, name, ...attributes },
      unixNanos: nowUnixNanos(),
    });
  }
}

function toStateRecord(state: ContainerState, lastExit: ContainerExit): StateRecord {
  return isRunning(state)
    ? { status: state.status, exit: lastExit, startedUnixMs: state.startedUnixMs }
    : { status: state.status, exit: state.exit, startedUnixMs: null };
}
