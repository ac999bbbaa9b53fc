import {
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  POLLIN,
  SIGKILL,
} from './constants.ts';
import type { Files } from './files.ts';
import { type Kernel, struct } from './kernel.ts';
import { timespec } from './machine.ts';
import { ChildSide } from './spawn-child.ts';
import { errnoName, errnoText } from './errno.ts';
import { SpawnError, type SpawnedProcess, type SpawnOptions, SysError } from './sys.ts';

/** A pipe's ends. */
interface Pipe {
  readonly read: number;
  readonly write: number;
}

const lineBytes = 4096;
/** Long enough for an overloaded host without KVM: it only ends a wait that would have no end. */
const startTimeoutMs = 60_000;

/**
 * Starts processes. The child reports over a pipe that closes at execve: a line with its terminal's
 * descriptor, or the step that failed.
 */
export class Spawner {
  readonly #kernel: Kernel;
  readonly #files: Files;
  /** Terminal descriptors that the caller holds: the pump duplicates them. */
  readonly terminals = new Set<number>();

  constructor(kernel: Kernel, files: Files) {
    this.#kernel = kernel;
    this.#files = files;
  }

  spawn(options: SpawnOptions): SpawnedProcess {
    const opened: number[] = [];
    try {
      return this.#spawn(options, opened);
    } catch (error) {
      for (const fd of opened) this.#kernel.close(fd);
      throw error;
    }
  }

  closeTerminal(terminal: number): void {
    this.terminals.delete(terminal);
    this.#kernel.close(terminal);
  }

  #spawn(options: SpawnOptions, opened: number[]): SpawnedProcess {
    const pipe = (): Pipe => {
      const made = this.#pipe();
      opened.push(made.read, made.write);
      return made;
    };
    const withPipes = options.terminal === null;
    const stdin = withPipes && options.stdin === 'pipe' ? pipe() : null;
    const stdout = withPipes && options.stdout === 'pipe' ? pipe() : null;
    const stderr = withPipes && options.stderr === 'pipe' ? pipe() : null;
    const status = pipe();
    const go = pipe();
    const stdio = [stdin?.read ?? null, stdout?.write ?? null, stderr?.write ?? null] as const;
    const target = this.#openTarget(options);
    if (target !== null) opened.push(target);
    const child = new ChildSide(this.#kernel, this.#files, options, {
      stdio,
      status: status.write,
      go: go.read,
      parentEnds: [go.write, status.read],
      target,
    });
    const pid = this.#fork(options, target, () => {
      child.run();
    });
    const close = (fd: number): void => {
      opened.splice(opened.indexOf(fd), 1);
      this.#kernel.close(fd);
    };
    for (const fd of [...stdio, status.write, go.read, target]) if (fd !== null) close(fd);
    const terminal = this.#awaitExec(pid, status.read, () => {
      close(go.write);
    });
    if (opened.includes(go.write)) close(go.write);
    close(status.read);
    if (terminal !== null) this.terminals.add(terminal);
    return {
      pid,
      stdin: stdin?.write ?? null,
      stdout: stdout?.read ?? null,
      stderr: stderr?.read ?? null,
      terminal,
    };
  }

  /** Pidfd of the process whose namespaces are joined: it cannot come to mean another one. */
  #openTarget({ namespaces }: SpawnOptions): number | null {
    if (namespaces.kind === 'new') return null;
    return inStep('join namespaces', () =>
      this.#kernel.call('open the process', 'pidfd_open', namespaces.pid, 0),
    );
  }

  #fork(options: SpawnOptions, target: number | null, run: () => void): number {
    const cgroup = options.cgroup === '' ? -1 : this.#openCgroup(options.cgroup);
    const fork = (flags: number): number =>
      this.#kernel.check('start a process', this.#kernel.native.fork(flags, cgroup, run));
    try {
      return target === null
        ? fork(CLONE_NEWNS + CLONE_NEWPID + CLONE_NEWIPC + CLONE_NEWUTS)
        : this.#withinPidNamespace(target, () => fork(0));
    } finally {
      if (cgroup >= 0) this.#kernel.close(cgroup);
    }
  }

  /** A PID namespace is joined by those born while their parent has it set for its children. */
  #withinPidNamespace(target: number, fork: () => number): number {
    const flags = O_RDONLY | O_CLOEXEC;
    const own = this.#kernel.call('open', 'openat', AT_FDCWD, '/proc/self/ns/pid', flags, 0);
    try {
      return inStep('join namespaces', () => {
        this.#kernel.call('join the PID namespace', 'setns', target, CLONE_NEWPID);
        return fork();
      });
    } finally {
      this.#kernel.call('leave the PID namespace', 'setns', own, CLONE_NEWPID);
      this.#kernel.close(own);
    }
  }

  #openCgroup(cgroup: string): number {
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    return this.#kernel.call(`open ${cgroup}`, 'openat', AT_FDCWD, cgroup, flags, 0);
  }

  /** Follows the child's report to its end, which is execve; kills it and throws when that does not come. */
  #awaitExec(pid: number, statusFd: number, release: () => void): number | null {
    let terminal: number | null = null;
    try {
      for (const report of this.#reports(statusFd)) {
        if (report.terminal === undefined) {
          const { step = 'start', errno = 0, detail } = report;
          const text = detail ?? errnoText(errno);
          throw new SpawnError(step, errnoName(errno), text);
        }
        terminal = this.#takeDescriptor(pid, report.terminal);
        release();
      }
      return terminal;
    } catch (error) {
      if (terminal !== null) this.#kernel.close(terminal);
      this.#kernel.native.call('kill', pid, SIGKILL);
      throw error;
    }
  }

  *#reports(statusFd: number): Generator<ChildReport> {
    const buffer = new ArrayBuffer(lineBytes);
    let text = '';
    for (;;) {
      this.#awaitReport(statusFd);
      const got = this.#kernel.call('await a process', 'read', statusFd, buffer, lineBytes);
      text += this.#kernel.native.decodeText(buffer, 0, got);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as ChildReport;
      if (got > 0) continue;
      // container_init writes its report without a newline.
      if (text !== '') yield JSON.parse(text) as ChildReport;
      return;
    }
  }

  #awaitReport(statusFd: number): void {
    const poll = struct(8, (view) => {
      view.setInt32(0, statusFd, true);
      view.setUint16(4, POLLIN, true);
    });
    const timeout = timespec(startTimeoutMs);
    if (this.#kernel.call('await a process', 'ppoll', poll, 1, timeout, null, 8) === 0) {
      throw new SpawnError('start', 'ETIMEDOUT', 'it did not come as far as its program');
    }
  }

  #takeDescriptor(pid: number, descriptor: number): number {
    const process = this.#kernel.call('open the process', 'pidfd_open', pid, 0);
    try {
      return this.#kernel.call('take the terminal', 'pidfd_getfd', process, descriptor, 0);
    } finally {
      this.#kernel.close(process);
    }
  }

  #pipe(): Pipe {
    const ends = new ArrayBuffer(8);
    this.#kernel.call('make a pipe', 'pipe2', ends, O_CLOEXEC);
    const view = new DataView(ends);
    return { read: view.getInt32(0, true), write: view.getInt32(4, true) };
  }
}

/** A line of the child: its terminal, or the step that failed. */
export interface ChildReport {
  readonly terminal?: number;
  readonly step?: string;
  readonly errno?: number;
  readonly detail?: string;
}

function inStep<T>(step: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new SpawnError(step, error.errno, error.message);
  }
}
