import {
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from './constants.ts';
import type { Files } from './files.ts';
import type { Kernel } from './kernel.ts';
import { ChildSide } from './spawn-child.ts';
import { errnoName } from './errno.ts';
import { SpawnError, type SpawnedProcess, type SpawnOptions } from './sys.ts';

/** A pipe's ends. */
interface Pipe {
  readonly read: number;
  readonly write: number;
}

const lineBytes = 4096;

/**
 * Starts processes. The child reports over a pipe that closes at execve: a line with its pid when it is
 * a grandchild, a line with its terminal's descriptor, or the step that failed.
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
    const child = new ChildSide(this.#kernel, this.#files, options, {
      stdio,
      status: status.write,
      go: go.read,
      parentEnds: [go.write, status.read],
    });
    const pid = this.#fork(options, () => {
      child.run();
    });
    const close = (fd: number): void => {
      opened.splice(opened.indexOf(fd), 1);
      this.#kernel.close(fd);
    };
    for (const fd of [...stdio, status.write, go.read]) if (fd !== null) close(fd);
    const started = this.#awaitExec(pid, status.read, () => {
      close(go.write);
    });
    if (opened.includes(go.write)) close(go.write);
    close(status.read);
    if (started.terminal !== null) this.terminals.add(started.terminal);
    return {
      pid: started.pid,
      stdin: stdin?.write ?? null,
      stdout: stdout?.read ?? null,
      stderr: stderr?.read ?? null,
      terminal: started.terminal,
    };
  }

  #fork(options: SpawnOptions, run: () => void): number {
    const isNew = options.namespaces.kind === 'new';
    const flags = isNew ? CLONE_NEWNS + CLONE_NEWPID + CLONE_NEWIPC + CLONE_NEWUTS : 0;
    const operation = `open ${options.cgroup}`;
    const cgroup =
      options.cgroup === ''
        ? -1
        : this.#kernel.call(
            operation,
            'openat',
            AT_FDCWD,
            options.cgroup,
            O_PATH | O_DIRECTORY | O_CLOEXEC,
            0,
          );
    try {
      return this.#kernel.check('start a process', this.#kernel.native.fork(flags, cgroup, run));
    } finally {
      if (cgroup >= 0) this.#kernel.close(cgroup);
    }
  }

  /** Follows the child's report to its end, which is execve; throws SpawnError when it fails. */
  #awaitExec(
    firstPid: number,
    statusFd: number,
    release: () => void,
  ): { readonly pid: number; readonly terminal: number | null } {
    let pid = firstPid;
    let terminal: number | null = null;
    try {
      for (const report of this.#reports(statusFd)) {
        if (report.step !== undefined) {
          const errno = report.errno ?? 0;
          const text = report.detail ?? this.#kernel.native.errorText(errno);
          throw new SpawnError(report.step, errnoName(errno), text);
        }
        if (report.pid !== undefined) pid = report.pid;
        if (report.terminal !== undefined) {
          terminal = this.#takeDescriptor(pid, report.terminal);
          release();
        }
      }
    } catch (error) {
      if (terminal !== null) this.#kernel.close(terminal);
      throw error;
    }
    return { pid, terminal };
  }

  *#reports(statusFd: number): Generator<ChildReport> {
    const buffer = new ArrayBuffer(lineBytes);
    let text = '';
    for (;;) {
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

/** A line of the child: exactly one of pid, terminal and step is there. */
export interface ChildReport {
  readonly pid?: number;
  readonly terminal?: number;
  readonly step?: string;
  readonly errno?: number;
  readonly detail?: string;
}
