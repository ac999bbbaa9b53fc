import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import type { TestDaemon } from '../../test/support/daemon.ts';
import { docker, listVms } from '../docker.ts';
import { type Figure, figure } from '../report.ts';

/** After which a guest has reported the pages that it freed at its start. */
const settleMs = 10_000;

/** Memory of idle pods that run at the same time, as their guests and the host see it. */
export async function idleMemory(daemon: TestDaemon, pods: number): Promise<readonly Figure[]> {
  const names = Array.from({ length: pods }, (_, index) => `idle${String(index)}`);
  for (const name of names) {
    await docker(daemon, 'run', '-d', '--name', name, 'busybox', 'sleep', '1000');
  }
  await delay(settleMs);
  const rollups: string[] = [];
  for (const { Pid } of await listVms(daemon)) {
    rollups.push(await readFile(`/proc/${String(Pid)}/smaps_rollup`, 'utf8'));
  }
  const host = (field: string): number[] =>
    rollups.map((rollup) => readField(rollup, field) / 1024);
  const used: number[] = [];
  for (const name of names) {
    const guest = await docker(daemon, 'exec', name, 'cat', '/proc/meminfo');
    used.push((readField(guest, 'MemTotal') - readField(guest, 'MemAvailable')) / 1024);
  }
  await docker(daemon, 'rm', '-f', ...names);
  return [
    figure('memory used in the guest of an idle container', 'MiB', used),
    figure(`host PSS per idle pod, ${String(pods)} at once`, 'MiB', host('Pss')),
    figure('  of it anonymous', 'MiB', host('Pss_Anon')),
  ];
}

function readField(text: string, name: string): number {
  return Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1]);
}
