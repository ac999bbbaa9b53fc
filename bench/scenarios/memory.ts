import { setTimeout as delay } from 'node:timers/promises';

import { daemonMemory } from '../engines/daemon-memory.ts';
import type { Engine } from '../engines/engine.ts';
import { hostPid, vmOf } from '../engines/hyper-vms.ts';
import { readIfAlive } from '../engines/processes.ts';
import { readGuestFiles, readVmMappings } from '../engines/vm-memory.ts';
import type { Findings } from '../findings.ts';
import { isAbsent } from '../measure/series.ts';
import { readField, splitVmMemory, toMegabytes, type VmMemory } from '../measure/smaps.ts';
import type { Scenario } from './scenario.ts';

const pods = 5;
/** After which a guest has given back what it freed at its start. */
const settleMs = 15_000;
const names = Array.from({ length: pods }, (_, index) => `idle${String(index)}`);
const barName = 'Hyper: private memory per pod, without the code cache';

/** What a pod costs that does nothing. */
export const memory: Scenario = {
  title: `memory of idle busybox pods, ${String(pods)} at once`,
  async measure(lab, _effort, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const hyper = engines.get('default');
    if (isAbsent(hyper)) findings.add(barName, 'MB', hyper, 'private');
    else await measureHyper(hyper, findings, lab.signal);
    const docker = engines.get('docker');
    const label = 'Docker with runc: PSS per container, shim and share of the daemon included';
    if (isAbsent(docker)) findings.add(label, 'MB', docker);
    else findings.add(label, 'MB', [await measureDocker(docker, lab.signal)]);
  },
};

async function measureHyper(
  engine: Engine,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const before = await daemonMemory(engine, 'smaps_rollup', 'Pss');
  await startPods(engine, signal);
  const share = ((await daemonMemory(engine, 'smaps_rollup', 'Pss')) - before) / pods;
  const parts: VmMemory[] = [];
  const guests: number[] = [];
  for (const name of names) {
    const vm = await vmOf(engine, name);
    const pid = await hostPid(engine, vm);
    const [mappings, files] = [await readVmMappings(pid), await readGuestFiles(pid)];
    parts.push(splitVmMemory(mappings, files, vm.MemoryMiB));
  }
  // Afterwards, as a process in the guest costs memory too.
  for (const name of names) {
    const info = await engine.docker('exec', name, 'cat', '/proc/meminfo');
    guests.push(toMegabytes(readField(info, 'MemTotal') - readField(info, 'MemAvailable')));
  }
  await engine.removeContainers();
  const of = (label: string, pick: (part: VmMemory) => number): void => {
    findings.add(label, 'MB', parts.map(pick));
  };
  const own = parts.map(({ guest, hypervisor }) => guest + hypervisor);
  findings.add(barName, 'MB', own, 'private');
  of('  of it guest memory', ({ guest }) => guest);
  of('  of it QEMU', ({ hypervisor }) => hypervisor);
  of('Hyper: TCG code cache per pod', ({ codeCache }) => codeCache);
  of("Hyper: PSS per pod, code cache and hyperd's share included", ({ pss }) => pss + share);
  findings.add("  of it hyperd's share (its growth)", 'MB', [share]);
  findings.add('Hyper: memory in use as the guest sees it', 'MB', guests);
}

/** Everything under the first process less the daemons' own memory before, per container. */
async function measureDocker(engine: Engine, signal: AbortSignal): Promise<number> {
  const before = await totalPss(engine);
  await startPods(engine, signal);
  const after = await totalPss(engine);
  await engine.removeContainers();
  return (after - before) / pods;
}

async function startPods(engine: Engine, signal: AbortSignal): Promise<void> {
  for (const name of names) {
    await engine.docker('run', '-d', '--name', name, 'busybox', 'sleep', '10000');
  }
  await delay(settleMs, undefined, { signal });
}

async function totalPss(engine: Engine): Promise<number> {
  let total = 0;
  for (const { pid } of await engine.processes()) {
    const rollup = await readIfAlive(pid, 'smaps_rollup');
    // Empty for a process that has ended and waits for its parent.
    if (rollup !== '') total += readField(rollup, 'Pss');
  }
  return toMegabytes(total);
}
