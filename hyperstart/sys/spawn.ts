import type { AsideCalls } from './aside.ts';
import { CallPlan, firstKept, keptDescriptors, PlanParts } from './call-plan.ts';
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
} from './constants.ts';
import { EMFILE } from './errno.ts';
import type { Files } from './files.ts';
import type { Kernel } from './kernel.ts';
import { KernelCapabilities } from './kernel-capabilities.ts';
import { endChild, makePipe, type Pipe, readReport, spawnError } from './plan-report.ts';
import { SeccompPrograms } from './seccomp-programs.ts';
import { type ChildParts, ChildSide, terminalReady } from './spawn-child.ts';
import { SpawnError, type SpawnedProcess, type SpawnOptions, SysError } from './sys.ts';

/**
 * Starts processes. The child carries a plan out and reports over a pipe that closes at execve: that its
 * terminal can be taken, or the call that failed.
 */
export class Spawner {
  readonly #kernel: Kernel;
  readonly #aside: AsideCalls;
  readonly #childParts: Omit<ChildParts, 'plan'>;
  /** Terminal descriptors that the caller holds: the pump duplicates them. */
  readonly terminals = new Set<number>();

  constructor(parts: {
    readonly kernel: Kernel;
    readonly files: Files;
    readonly aside: AsideCalls;
  }) {
    this.#kernel = parts.kernel;
    this.#aside = parts.aside;
    this.#childParts = {
      kernel: parts.kernel,
      files: parts.files,
      parts: new PlanParts(parts.kernel),
      seccomp: new SeccompPrograms(),
      capabilities: new KernelCapabilities(parts.files),
    };
  }

  spawn(options: SpawnOptions): SpawnedProcess {
    this.#aside.settle();
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
      const made = makePipe(this.#kernel);
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
    if (opened.some((fd) => fd >= firstKept)) throw this.#kernel.error('start a process', EMFILE);
    const plan = new CallPlan(this.#kernel);
    const stdio = [stdin?.read ?? null, stdout?.write ?? null, stderr?.write ?? null] as const;
    const parts = { ...this.#childParts, plan };
    new ChildSide(parts, options, {
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
    const { native } = this.#kernel;
    const encoded = plan.encode();
    const cgroup = options.cgroup === '' ? -1 : this.#openCgroup(options.cgroup);
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
        const report = readReport(this.#kernel, statusFd);
        if (report === null) return terminal;
        if (report.place !== terminalReady) throw spawnError(plan, report);
        terminal = this.#takeDescriptor(pid, keptDescriptors.terminal);
        release();
      }
    } catch (error) {
      if (terminal !== null) this.#kernel.close(terminal);
      endChild(this.#kernel, pid, statusFd);
      throw error;
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
}

interface PlannedChild {
  readonly pid: number;
  readonly statusFd: number;
  readonly plan: CallPlan;
}

function inStep<T>(step: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new SpawnError(step, error.errno, error.message);
  }
}
