import { once } from 'node:events';
import { open } from 'node:fs/promises';

import { HyperError, messageOf } from '../../base/error.ts';
import { killProcess, startTicksOf } from '../../base/process-table.ts';
import { type ChildProcess, spawnProcess } from '../../base/subprocess.ts';
import type { VmRecord } from '../driver.ts';
import { type HostCapabilities, socketPaths } from './command-line.ts';
import { qemuLogPath, readQemuLog } from './qemu-log.ts';
import { QemuVm, removeSockets } from './vm.ts';

export interface QemuLaunch {
  readonly binary: string;
  readonly host: HostCapabilities;
  readonly id: string;
  readonly runDirectory: string;
  readonly arguments: readonly string[];
  /** performance.now() at the call of the driver. */
  readonly startedAt: number;
  /** Open file that QEMU gets as descriptor `stateDescriptor`. */
  readonly stateFile?: number;
  /** Added to the daemon's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Starts a QEMU process in a session of its own, connects monitor and console, and lets `begin` bring
 * the guest to life. When that fails or is aborted nothing is left behind.
 */
export async function launchQemu(
  launch: QemuLaunch,
  begin: (vm: QemuVm) => Promise<void>,
  signal: AbortSignal,
): Promise<QemuVm> {
  const { id, runDirectory, host, startedAt } = launch;
  checkSocketPath(runDirectory);
  signal.throwIfAborted();
  const child = await spawnQemu(launch);
  const failure = new AbortController();
  const exited = exitOf(child).then((how) => {
    failure.abort(new HyperError('INTERNAL', `QEMU ended at its start (${how})`));
    return how;
  });
  const pid = child.pid;
  const startTicks = pid === undefined ? null : startTicksOf(pid);
  try {
    if (pid === undefined || startTicks === null) throw await startError(exited);
    const record: VmRecord = { hypervisor: 'qemu', id, runDirectory, pid, startTicks };
    const either = AbortSignal.any([signal, failure.signal]);
    const options = { record, host, startedAt, beginning: 'spawn', exited } as const;
    const vm = await QemuVm.connect(options, either);
    await begin(vm);
    return vm;
  } catch (cause) {
    if (pid !== undefined && startTicks !== null) killProcess(pid, startTicks);
    await exited;
    const tail = await readQemuLog(runDirectory);
    await removeSockets(runDirectory);
    signal.throwIfAborted();
    const text = `VM ${id.slice(0, 12)}: launch: ${messageOf(cause)}`;
    throw new HyperError('INTERNAL', tail === '' ? text : `${text}: ${tail}`, { cause });
  }
}

async function spawnQemu(launch: QemuLaunch): Promise<ChildProcess> {
  const { binary, runDirectory, stateFile, environment } = launch;
  await using log = await open(qemuLogPath(runDirectory), 'a');
  // env(1) becomes QEMU: it has the same pid.
  const variables = Object.entries(environment ?? {}).map(([name, value]) => `${name}=${value}`);
  const [command, ...first] = variables.length === 0 ? [binary] : ['env', ...variables, binary];
  const child = spawnProcess(command, [...first, ...launch.arguments], {
    cwd: runDirectory,
    detached: true,
    stdio: ['ignore', log.fd, log.fd, ...(stateFile === undefined ? [] : [stateFile])],
  });
  child.unref();
  return child;
}

/** A unix(7) address holds 107 characters. */
export function checkSocketPath(runDirectory: string): void {
  const longest = socketPaths(runDirectory).control;
  if (Buffer.byteLength(longest) > 107) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `${longest}: too long for a Unix socket; use a shorter exec-root`,
    );
  }
}

async function exitOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return signal === null ? `exit status ${String(code)}` : `killed by ${signal}`;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

async function startError(exited: Promise<string>): Promise<HyperError> {
  return new HyperError('INTERNAL', `QEMU did not start (${await exited})`);
}
