import { CallPlan, slots } from './call-plan.ts';
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
import { ChildSide, terminalReady } from './spawn-child.ts';
import { errnoName, errnoText } from './errno.ts';
import { SpawnError, type SpawnedProcess, type SpawnOptions, SysError } from './sys.ts';

/** A pipe's ends. */
interface Pipe {
  readonly read: number;
  readonly write: number;
}

const reportBytes = 8;
/** Long enough for an overloaded host without KVM: it only ends a wait that would have no end. */
const startTimeoutMs = 60_000;

/**
 * Starts processes. The child carries a plan out and reports over a pipe that closes at execve: that its
 * terminal can be taken, or the call that failed.
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
    const go = withPipes ? null : pipe();
    const target = this.#openTarget(options);
    if (target !== null) opened.push(target);
    const plan = new CallPlan(this.#kernel);
    const stdio = [stdin?.read ?? null, stdout?.write ?? null, stderr?.write ?? null] as const;
    new ChildSide({ kernel: this.#kernel, files: this.#files, plan }, options, {
      ...{ stdio, status: status.write, go: go?.read ?? null, target },
      parentEnds: [status.read, ...(go === null ? [] : [go.write])],
    }).planAll();
    const pid = this.#fork(options, target, { status: status.write, plan });
    const close = (fd: number | null | undefined): void => {
      if (fd === null || fd === undefined || !opened.includes(fd)) return;
      opened.splice(opened.indexOf(fd), 1);
      this.#kernel.close(fd);
    };
    for (const fd of [...stdio, status.write, go?.read, target]) close(fd);
    const terminal = this.#awaitExec({ pid, statusFd: status.read, plan }, () => {
      close(go?.write);
    });
    close(go?.write);
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

  #fork(
    options: SpawnOptions,
    target: number | null,
    { status, plan }: { readonly status: number; readonly plan: CallPlan },
  ): number {
    const cgroup = options.cgroup === '' ? -1 : this.#openCgroup(options.cgroup);
    const { native } = this.#kernel;
    const encoded = plan.encode();
    const fork = (flags: number): number =>
      this.#kernel.check('start a process', native.spawn(flags, cgroup, status, encoded));
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

  /** Follows the child's reports to their end, which is execve; kills it and throws when that does not come. */
  #awaitExec({ pid, statusFd, plan }: PlannedChild, release: () => void): number | null {
    let terminal: number | null = null;
    try {
      for (;;) {
        const report = this.#readReport(statusFd);
        if (report === null) return terminal;
        if (report.place !== terminalReady) throw spawnError(plan, report);
        terminal = this.#takeDescriptor(pid, this.#kernel.native.slot(slots.terminal));
        release();
      }
    } catch (error) {
      if (terminal !== null) this.#kernel.close(terminal);
      this.#kernel.try('kill', pid, SIGKILL);
      throw error;
    }
  }

  /** null when the program runs. */
  #readReport(statusFd: number): ChildReport | null {
    this.#awaitReport(statusFd);
    const buffer = new ArrayBuffer(reportBytes);
    const got = this.#kernel.call('await a process', 'read', statusFd, buffer, reportBytes);
    if (got === 0) return null;
    const view = new DataView(buffer);
    return { place: view.getInt32(0, true), errno: view.getInt32(4, true) };
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

/** Of a child: the call of its plan that failed; below zero what native/init.c and spawn-child.ts say. */
interface ChildReport {
  readonly place: number;
  readonly errno: number;
}

interface PlannedChild {
  readonly pid: number;
  readonly statusFd: number;
  readonly plan: CallPlan;
}

/** By a container's init instead of the place in the plan. */
const initReports: Readonly<Record<number, string>> = { [-1]: 'execve', [-2]: 'fork' };

function spawnError(plan: CallPlan, { place, errno }: ChildReport): SpawnError {
  const { step, operation } = plan.labelOf(place);
  const name = initReports[place] ?? step;
  const text = errnoText(errno);
  // A system call's own words are the best for the two steps that users cause.
  const isUsual = name === 'execve' || name === 'chdir';
  return new SpawnError(name, errnoName(errno), isUsual ? text : `${operation}: ${text}`);
}

function inStep<T>(step: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new SpawnError(step, error.errno, error.message);
  }
}
