import { readFile } from 'node:fs/promises';

import type { Container } from './container.ts';
import type { ContainerStatsView, TopResult } from './container-service.ts';
import { requireRun } from './container-state.ts';
import type { PodContext } from './context.ts';
import { mebibyte } from './spec/sizes.ts';

const titles = ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'];

/** The processes of a running container, as `ps -ef` prints them. */
export async function listProcesses(context: PodContext, container: Container): Promise<TopResult> {
  const run = requireRun(container.id, container.state);
  const limit = AbortSignal.timeout(context.deadlines.requestMs);
  const { agent } = run.machine;
  const { processes } = await agent.request('processes', { containerId: container.id }, limit);
  return {
    titles,
    processes: processes.map(({ uid, pid, parentPid, startedUnixMs, cpuMs, command }) => [
      uid === 0 ? 'root' : String(uid),
      String(pid),
      String(parentPid),
      '0',
      new Date(startedUnixMs).toISOString().slice(11, 16),
      '?',
      toClock(cpuMs),
      command,
    ]),
  };
}

/** What a running container uses, inside its VM and on the host. */
export async function readStats(
  context: PodContext,
  container: Container,
): Promise<ContainerStatsView> {
  const { machine } = requireRun(container.id, container.state);
  const limit = AbortSignal.timeout(context.deadlines.requestMs);
  const [guest, hostMemoryBytes] = await Promise.all([
    machine.agent.request('stats', { containerId: container.id }, limit),
    proportionalSetSize(machine.vm.record.pid),
  ]);
  const { Memory: limitBytes = 0 } = container.record.hostConfig;
  return {
    readUnixMs: Date.now(),
    guest,
    memoryLimitBytes: limitBytes > 0 ? limitBytes : machine.size.memoryMiB * mebibyte,
    hostMemoryBytes,
  };
}

/** 0 when the process is gone or hidden from us. */
async function proportionalSetSize(pid: number): Promise<number> {
  const text = await readFile(`/proc/${String(pid)}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? '0') * 1024;
}

function toClock(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}
