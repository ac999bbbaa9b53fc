import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import path from 'node:path';

import { unlessAborted } from '../../base/deadline.ts';
import { HyperError, messageOf } from '../../base/error.ts';
import { hasEndedWithin, killProcess, startTicksOf } from '../../base/process-table.ts';
import type { ForkAbility, ForkConfig, TemplateVmConfig, Vm, VmRecord } from '../driver.ts';
import type { HostCapabilities } from './command-line.ts';
import { checkSocketPath } from './launch.ts';
import { qemuLogPath, readQemuLog } from './qemu-log.ts';
import { QemuVm, removeSockets } from './vm.ts';

export interface QemuForksConfig {
  /** Path of vm-fork.so. */
  readonly library: string;
  readonly host: HostCapabilities;
  /** Starts a clone whose process has further variables in its environment. */
  readonly launchParent: (
    config: TemplateVmConfig,
    environment: Record<string, string>,
    signal: AbortSignal,
  ) => Promise<Vm>;
}

/** A fork takes a hundredth of a second on an idle machine. */
const forkMs = 10_000;
/** Between the end of a killed process and our knowledge of it passes an instant. */
const endMs = 2000;

/** Forks of QEMU processes, by a library of our own in the parent: see vm-fork/README.md. */
export class QemuForks implements ForkAbility {
  readonly #config: QemuForksConfig;

  constructor(config: QemuForksConfig) {
    this.#config = config;
  }

  async launchParent(config: TemplateVmConfig, signal: AbortSignal): Promise<Vm> {
    const environment = {
      LD_PRELOAD: this.#config.library,
      HYPER_FORK_SOCKET: forkSocket(config.runDirectory),
    };
    return await this.#config.launchParent(config, environment, signal);
  }

  async fork(parent: Vm, config: ForkConfig, signal: AbortSignal): Promise<Vm> {
    const startedAt = performance.now();
    const { id, runDirectory } = config;
    checkSocketPath(runDirectory);
    const patience = AbortSignal.any([signal, AbortSignal.timeout(forkMs)]);
    const born = requestFork(parent, config);
    let record: VmRecord | null = null;
    try {
      const pid = await unlessAborted(born, patience);
      record = recordOf(pid, config);
      const { host } = this.#config;
      const how = { beginning: 'fork', exited: null } as const;
      const vm = await QemuVm.connect({ record, host, startedAt, ...how }, patience);
      await vm.resume();
      return vm;
    } catch (cause) {
      if (record === null) endLater(born, config);
      else await end(record);
      const tail = await readQemuLog(runDirectory);
      await removeSockets(runDirectory);
      signal.throwIfAborted();
      const text = `VM ${id.slice(0, 12)}: fork: ${messageOf(cause)}`;
      throw new HyperError('INTERNAL', tail === '' ? text : `${text}: ${tail}`, { cause });
    }
  }
}

function forkSocket(runDirectory: string): string {
  return path.join(runDirectory, 'fork.sock');
}

/** Has the parent forked; the pid of the child, which is a VM with sockets of its own by then. */
async function requestFork(parent: Vm, { runDirectory, nic }: ForkConfig): Promise<number> {
  const { runDirectory: parentDirectory } = parent.record;
  const socket = connect(forkSocket(parentDirectory));
  using _ = {
    [Symbol.dispose]: () => {
      socket.destroy();
    },
  };
  await once(socket, 'connect');
  socket.write(`${runDirectory}\n${qemuLogPath(runDirectory)}\n${nic?.tapName ?? ''}\n`);
  const answer = await readAll(socket);
  const pid = /^forked (\d+)\n$/.exec(answer)?.[1];
  if (pid !== undefined) return Number(pid);
  const reason = answer === '' ? 'the process ended without an answer' : answer.trim();
  throw new HyperError('INTERNAL', `the parent VM was not forked: ${reason}`);
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'end');
  return text;
}

function recordOf(pid: number, { id, runDirectory }: ForkConfig): VmRecord {
  const startTicks = startTicksOf(pid);
  if (startTicks === null) {
    throw new HyperError('INTERNAL', `QEMU ended at its start (process ${String(pid)}, a fork)`);
  }
  return { hypervisor: 'qemu', id, runDirectory, pid, startTicks };
}

async function end(record: VmRecord): Promise<void> {
  killProcess(record.pid, record.startTicks);
  await hasEndedWithin(endMs, record);
}

/** Nobody waits for this fork any more: should it still come, it goes at once. */
function endLater(born: Promise<number>, config: ForkConfig): void {
  born.then((pid) => end(recordOf(pid, config))).catch(() => undefined);
}
