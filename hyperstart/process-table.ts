import { guard } from './guard.ts';
import type {
  AgentEvent,
  ProcessExit,
  ProcessRef,
  ProcessStatus,
  StdioStreams,
} from './protocol/message.ts';
import { RequestError } from './request-error.ts';
import type { Channel, ChildExit, SpawnedProcess, Sys } from './sys/sys.ts';

/** How long the exit of an exec waits for its output, which others may have inherited: the host waits on. */
export const execGraceMs = 200;
/** How often a first process's output is looked after when the host does not take it. */
const outputCheckMs = 2000;

/** A process of a container: the first one, or an exec. */
export interface ContainerProcess extends ProcessRef {
  readonly pid: number;
  readonly streams: StdioStreams;
  /** Our descriptor of its terminal while it runs. */
  terminal: number | null;
  /** Output streams that the host has not taken to the end. */
  readonly openOutputs: Set<number>;
  /** Set when it has ended; told to the host once its output is through. */
  exit: ProcessExit | null;
  isExitPublished: boolean;
}

export interface ProcessTableOptions {
  readonly sys: Sys;
  readonly channel: Channel;
  readonly publish: (event: AgentEvent) => void;
  /** Called as soon as a process has ended; tells whether it was for want of memory. */
  readonly wasOomKilled: (process: ContainerProcess, signal: number | null) => boolean;
  /** Called after the exit of a process was published. */
  readonly onExitPublished: (process: ContainerProcess) => void;
}

/** All processes that hyperd knows by name, until it releases them. */
export class ProcessTable {
  readonly #options: ProcessTableOptions;
  readonly #processes = new Map<string, ContainerProcess>();
  readonly #running = new Map<number, ContainerProcess>();
  readonly #byOutput = new Map<number, ContainerProcess>();

  constructor(options: ProcessTableOptions) {
    this.#options = options;
  }

  /** Takes over a process that was just spawned: connects its stdio with the streams. */
  add(ref: ProcessRef, streams: StdioStreams, spawned: SpawnedProcess): ContainerProcess {
    const { channel } = this.#options;
    const process: ContainerProcess = {
      ...ref,
      pid: spawned.pid,
      streams,
      terminal: spawned.terminal,
      openOutputs: new Set(),
      exit: null,
      isExitPublished: false,
    };
    this.#processes.set(key(ref), process);
    this.#running.set(process.pid, process);
    const input = spawned.terminal ?? spawned.stdin;
    if (streams.stdin !== null && input !== null) {
      channel.addSink(streams.stdin, input, spawned.terminal !== null);
    }
    this.#addOutput(process, streams.stdout, spawned.terminal ?? spawned.stdout);
    this.#addOutput(process, streams.stderr, spawned.stderr);
    return process;
  }

  #addOutput(process: ContainerProcess, streamId: number | null, fd: number | null): void {
    if (streamId === null || fd === null) return;
    process.openOutputs.add(streamId);
    this.#byOutput.set(streamId, process);
    this.#options.channel.addSource(streamId, fd);
  }

  find(ref: ProcessRef): ContainerProcess | undefined {
    return this.#processes.get(key(ref));
  }

  /** The running process of this name; throws NOT_FOUND or INVALID_STATE. */
  requireRunning(ref: ProcessRef): ContainerProcess {
    const process = this.find(ref);
    if (process === undefined) throw new RequestError('NOT_FOUND', `${describe(ref)} is not known`);
    if (process.exit !== null) {
      throw new RequestError('INVALID_STATE', `${describe(ref)} has ended`);
    }
    return process;
  }

  /** Throws when one of the streams is in use: two processes would share what is not theirs. */
  assertStreamsFree(streams: StdioStreams): void {
    const taken = new Set(
      [...this.#processes.values()].flatMap(({ streams: own }) => streamIds(own)),
    );
    for (const id of streamIds(streams)) {
      if (taken.has(id)) {
        throw new RequestError('INVALID_ARGUMENT', `stream ${String(id)} is in use`);
      }
      taken.add(id);
    }
  }

  statuses(): readonly ProcessStatus[] {
    return [...this.#processes.values()].map((process) => ({
      containerId: process.containerId,
      execId: process.execId,
      streams: process.streams,
      exit: process.isExitPublished ? process.exit : null,
    }));
  }

  /** A child has ended; those that are nobody's (orphans of a container) are only reaped. */
  childExited(child: ChildExit): void {
    const { sys, channel } = this.#options;
    const process = this.#running.get(child.pid);
    if (process === undefined) return;
    this.#running.delete(child.pid);
    process.exit = {
      exitCode: child.signal === null ? (child.exitCode ?? 0) : 128 + child.signal,
      signal: child.signal,
      oomKilled: this.#options.wasOomKilled(process, child.signal),
    };
    if (process.streams.stdin !== null) channel.removeStream(process.streams.stdin);
    if (process.terminal !== null) {
      sys.closeTerminal(process.terminal);
      process.terminal = null;
    }
    if (process.openOutputs.size === 0) this.#publish(process);
    else this.#waitForOutput(process);
  }

  /** All output of a stream is with the host. */
  streamDrained(streamId: number): void {
    const process = this.#byOutput.get(streamId);
    if (process === undefined) return;
    this.#byOutput.delete(streamId);
    process.openOutputs.delete(streamId);
    if (process.openOutputs.size === 0 && process.exit !== null) this.#publish(process);
  }

  /**
   * The host may be slow or away, and an exec's pipe may live on in another process: after a while an
   * exec's exit is told all the same, a first process's when nothing is left to be read. What was
   * read or is yet to be read stays in its stream.
   */
  #waitForOutput(process: ContainerProcess): void {
    const { sys, channel } = this.#options;
    sys.setTimer(
      process.execId === null ? outputCheckMs : execGraceMs,
      guard(sys, 'the end of output', () => {
        if (process.isExitPublished || this.find(process) !== process) return;
        const isRead = [...process.openOutputs].every((id) => channel.isSourceAtEnd(id));
        if (isRead || process.execId !== null) this.#publish(process);
        else this.#waitForOutput(process);
      }),
    );
  }

  #publish(process: ContainerProcess): void {
    if (process.exit === null || process.isExitPublished) return;
    process.isExitPublished = true;
    this.#options.publish({
      type: 'event',
      event: 'exit',
      containerId: process.containerId,
      execId: process.execId,
      exit: process.exit,
    });
    this.#options.onExitPublished(process);
  }

  /** Closes the stdin of a running process; forgets an ended one with its streams. */
  release(ref: ProcessRef): ContainerProcess {
    const { channel } = this.#options;
    const process = this.find(ref);
    if (process === undefined) throw new RequestError('NOT_FOUND', `${describe(ref)} is not known`);
    if (process.exit === null) {
      if (process.streams.stdin !== null) channel.removeStream(process.streams.stdin);
      return process;
    }
    for (const id of streamIds(process.streams)) {
      channel.removeStream(id);
      this.#byOutput.delete(id);
    }
    this.#processes.delete(key(ref));
    return process;
  }
}

function key({ containerId, execId }: ProcessRef): string {
  return `${containerId}/${execId ?? ''}`;
}

function describe({ containerId, execId }: ProcessRef): string {
  return execId === null ? `container ${containerId}` : `exec ${execId} of ${containerId}`;
}

function streamIds({ stdin, stdout, stderr }: StdioStreams): readonly number[] {
  return [stdin, stdout, stderr].filter((id) => id !== null);
}
