import type { Readable, Writable } from 'node:stream';

import type { Platform } from '../image/image-store.ts';
import type { LogEntry, LogReadOptions } from '../log/container-log.ts';
import type { EndpointRecord } from '../network/network-manager.ts';
import type { ContainerConfig, ExecConfig, HostConfig } from './docker-config.ts';
import type { Timeline } from './phase-clock.ts';
import type { VmOrigin } from './warm/warm-vms.ts';

/**
 * Containers as the API sees them: the one door from `api/` into `pod/`. `nameOrId` is a name (with or
 * without `/`), a full id or a unique id prefix; NOT_FOUND is Docker's `No such container: x`. Errors
 * carry Docker's messages. Each operation holds its pod's mutex from start to end.
 */
export interface ContainerService {
  readonly events: EventHub;
  create(
    request: CreateRequest,
  ): Promise<{ readonly id: string; readonly warnings: readonly string[] }>;
  list(): readonly ContainerView[];
  get(nameOrId: string): ContainerView;
  /** Resolves false when it ran already (Docker answers 304). */
  start(nameOrId: string, signal: AbortSignal): Promise<boolean>;
  /** Stop signal, then SIGKILL after the timeout (null: the container's own, else 10 s; -1: never). False when it was not running. */
  stop(nameOrId: string, options: StopOptions): Promise<boolean>;
  restart(nameOrId: string, options: StopOptions): Promise<void>;
  kill(nameOrId: string, signal: string): Promise<void>;
  pause(nameOrId: string): Promise<void>;
  unpause(nameOrId: string): Promise<void>;
  rename(nameOrId: string, newName: string): Promise<void>;
  remove(nameOrId: string, options: { readonly force: boolean }): Promise<void>;
  resize(nameOrId: string, size: TerminalSize): Promise<void>;
  /** Resolves once the condition can be waited for; `exited` then settles, rejecting only on abort. */
  wait(
    nameOrId: string,
    condition: WaitCondition,
    signal: AbortSignal,
  ): { readonly exited: Promise<WaitResult> };
  attach(nameOrId: string, options: AttachOptions): Promise<StdioSession>;
  logs(nameOrId: string, options: LogReadOptions, signal: AbortSignal): AsyncIterable<LogEntry>;
  top(nameOrId: string): Promise<TopResult>;
  stats(nameOrId: string): Promise<ContainerStatsView>;
  createExec(nameOrId: string, config: ExecConfig): string;
  getExec(execId: string): ExecView;
  /** CONFLICT when it was started before. Without attached stdio resolves when the process runs. */
  startExec(execId: string, options: ExecStartOptions): Promise<StdioSession | null>;
  resizeExec(execId: string, size: TerminalSize): Promise<void>;
  /** How VMs come about without a boot, and those that wait for a container. */
  warmVms(): WarmVmsView;
}

export interface CreateRequest {
  /** null: two generated words, as Docker does. */
  readonly name: string | null;
  readonly platform: Platform | null;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
}

export interface StopOptions {
  readonly timeoutSeconds: number | null;
  /** Signal name or number; null: the container's stop signal. */
  readonly signal: string | null;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface WaitResult {
  readonly exitCode: number;
  readonly error: string | null;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Replays the log first. */
  readonly logs: boolean;
  /** Streams what comes from now on. */
  readonly stream: boolean;
  /** Docker's syntax, such as `ctrl-p,ctrl-q`; '' is the default sequence. */
  readonly detachKeys: string;
}

/**
 * A client's hold on a process's stdio. `output` ends when the process's output ends, or upon detach.
 * Closing (dispose) only lets go; it never ends the process.
 */
export interface StdioSession extends AsyncDisposable {
  readonly tty: boolean;
  /** null when stdin was not asked for or is not open. `end()` is EOF; the detach keys are found in here. */
  readonly stdin: Writable | null;
  /** Object mode: OutputChunk. A slow reader holds the process back, as with Docker. */
  readonly output: Readable;
  /** Settles when the client detached by its keys. */
  readonly detached: Promise<void>;
}

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
  /** To be called when the bytes are not needed any more: their memory may go at once then. */
  readonly release?: () => void;
}

export interface ExecStartOptions {
  readonly detach: boolean;
  readonly tty: boolean;
  readonly consoleSize: TerminalSize | null;
}

export type ContainerStatus =
  'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

/** A snapshot for ps and inspect. */
export interface ContainerView {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly createdUnixMs: number;
  readonly imageId: string;
  /** As the user typed it. */
  readonly imageName: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** Entrypoint and command after merging with the image. */
  readonly path: string;
  readonly args: readonly string[];
  /** Config after merging with the image: what `inspect` shows under Config. */
  readonly effectiveConfig: ContainerConfig;
  readonly state: ContainerStateView;
  readonly restartCount: number;
  readonly endpoint: EndpointRecord | null;
  readonly networkMode: 'bridge' | 'none';
  readonly logPath: string;
  readonly execIds: readonly string[];
  /** Of the last time that it came to run; kept when its VM has ended. null: it never did. */
  readonly lastStart: LastStart | null;
  /** The VM: null when none runs. */
  readonly vm: VmView | null;
}

/** How a start went. */
export interface LastStart {
  readonly origin: VmOrigin;
  readonly timeline: Timeline;
}

export interface VmView {
  readonly hypervisor: string;
  readonly pid: number;
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly origin: VmOrigin;
  readonly kernelRelease: string;
  readonly consoleTail: () => string;
}

export interface WarmVmsView {
  /** VMs are clones of templates; false: every one is booted. */
  readonly templates: boolean;
  /** How many VMs are to wait. */
  readonly poolSize: number;
  /** Those that do, paused. */
  readonly waiting: readonly VmView[];
  /** Those that others are forked of, paused for good. */
  readonly parents: readonly VmView[];
}

export interface ContainerStateView {
  readonly status: ContainerStatus;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  /** Host process id of the VM while it runs, else 0. */
  readonly pid: number;
  /** null: never. */
  readonly startedUnixMs: number | null;
  readonly finishedUnixMs: number | null;
}

export interface ExecView {
  readonly id: string;
  readonly containerId: string;
  readonly config: ExecConfig;
  readonly running: boolean;
  readonly exitCode: number | null;
  readonly pid: number;
}

export interface TopResult {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

export interface ContainerStatsView {
  readonly readUnixMs: number;
  readonly guest: import('../../hyperstart/protocol/message.ts').ContainerStats;
  /** Memory limit that the user sees: the container's, else the VM's. */
  readonly memoryLimitBytes: number;
  /** Proportional set size of the VM's host processes. */
  readonly hostMemoryBytes: number;
}

/** Docker events: recent ones are kept (1024), new ones are pushed. */
export interface EventHub {
  publish(event: DockerEvent): void;
  /** Kept events since `sinceUnixNanos` (null: none), then live ones until the signal aborts. */
  subscribe(sinceUnixNanos: bigint | null, signal: AbortSignal): AsyncIterable<DockerEvent>;
}

export interface DockerEvent {
  readonly type: 'container' | 'image' | 'network' | 'volume' | 'daemon';
  /** create, start, die, stop, kill, attach, exec_create: sh, pull, tag, … */
  readonly action: string;
  readonly actorId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly unixNanos: bigint;
}
