import type { CallPlan } from './call-plan.ts';
import { O_CLOEXEC, POLLIN, SIGKILL } from './constants.ts';
import { errnoName, errnoText } from './errno.ts';
import { type Kernel, struct } from './kernel.ts';
import { timespec } from './machine.ts';
import { SpawnError } from './sys.ts';

/** A pipe's ends. */
export interface Pipe {
  readonly read: number;
  readonly write: number;
}

export function makePipe(kernel: Kernel): Pipe {
  const ends = new ArrayBuffer(8);
  kernel.call('make a pipe', 'pipe2', ends, O_CLOEXEC);
  const view = new DataView(ends);
  return { read: view.getInt32(0, true), write: view.getInt32(4, true) };
}

/** Of a child: the call of its plan that failed; below zero what native/init.c and spawn-child.ts say. */
export interface ChildReport {
  readonly place: number;
  readonly errno: number;
}

const reportBytes = 8;
/** Long enough for an overloaded host without KVM: it only ends a wait that would have no end. */
const reportTimeoutMs = 60_000;

/** Waits for what a child reports next; null when it has come to the end of its plan. */
export function readReport(kernel: Kernel, statusFd: number): ChildReport | null {
  awaitReport(kernel, statusFd);
  const buffer = new ArrayBuffer(reportBytes);
  const got = kernel.call('await a process', 'read', statusFd, buffer, reportBytes);
  if (got === 0) return null;
  const view = new DataView(buffer);
  return { place: view.getInt32(0, true), errno: view.getInt32(4, true) };
}

function awaitReport(kernel: Kernel, statusFd: number): void {
  const poll = struct(8, (view) => {
    view.setInt32(0, statusFd, true);
    view.setUint16(4, POLLIN, true);
  });
  const timeout = timespec(reportTimeoutMs);
  if (kernel.call('await a process', 'ppoll', poll, 1, timeout, null, 8) === 0) {
    throw new SpawnError('start', 'ETIMEDOUT', 'it did not come as far as its program');
  }
}

/**
 * Ends a child that has failed, and waits until it is gone: until then it runs on a stack that the next
 * one will have.
 */
export function endChild(kernel: Kernel, pid: number, statusFd: number): void {
  kernel.try('kill', pid, SIGKILL);
  try {
    while (readReport(kernel, statusFd) !== null);
  } catch {
    // It hangs in the kernel, and will not come back from there.
  }
}

/** By a container's init instead of the place in the plan. */
const initReports: Readonly<Record<number, string>> = { [-1]: 'execve', [-2]: 'fork' };

export function spawnError(plan: CallPlan, { place, errno }: ChildReport): SpawnError {
  const { step, operation } = plan.labelOf(place);
  const name = initReports[place] ?? step;
  const text = errnoText(errno);
  // A system call's own words are the best for the two steps that users cause.
  const isUsual = name === 'execve' || name === 'chdir';
  return new SpawnError(name, errnoName(errno), isUsual ? text : `${operation}: ${text}`);
}
