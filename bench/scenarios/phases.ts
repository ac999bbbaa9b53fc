import path from 'node:path';

import type { HypervisorDriver } from '../../hyperd/hypervisor/driver.ts';
import { openDriver } from '../../hyperd/hypervisor/registry.ts';
import type { Engine } from '../engines/engine.ts';
import { vmOf, type VmSummary } from '../engines/hyper-vms.ts';
import type { Lab } from '../engines/lab.ts';
import type { Findings } from '../findings.ts';
import { type AgentReady, measureAgentReady } from '../measure/agent-ready.ts';
import { type Life, readLife } from '../measure/life.ts';
import { type PhaseName, toPhases } from '../measure/phases.ts';
import { isAbsent } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

const phaseNames = [
  ...(['prepare', 'spawn', 'monitor', 'running', 'boot'] as const),
  ...(['network', 'mounts', 'process'] as const),
];

interface Run extends Life {
  readonly wall: number;
  readonly phases: Readonly<Record<PhaseName, number>>;
  readonly ready: AgentReady;
}

/** Where a cold start spends its time: by hyperd's own clock, and by that of a VM without devices. */
export const phases: Scenario = {
  title: 'phases of a cold start',
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['cold'], ['busybox']);
    const engine = engines.get('cold');
    if (isAbsent(engine)) {
      findings.add('whole start (create to start)', 'ms', engine);
      return;
    }
    const stateFile = path.join(lab.directory, 'kvm.json');
    const driver = await openDriver('qemu', { kernelPath: lab.artifacts.kernelPath, stateFile });
    const runs: Run[] = [];
    for (let index = 0; index < fewRuns; index++) {
      lab.signal.throwIfAborted();
      runs.push(await measureOnce(lab, engine, driver, `cold${String(index)}`));
    }
    addFigures(findings, runs);
  },
};

async function measureOnce(
  lab: Lab,
  engine: Engine,
  driver: HypervisorDriver,
  name: string,
): Promise<Run> {
  const since = Date.now();
  const wall = await timed(() => engine.docker('run', '--rm', '--name', name, 'busybox', 'true'));
  const life = await readLife(engine, name, since);
  // A second one that lives long enough to be asked.
  await engine.docker('run', '-d', '--name', name, 'busybox', 'sleep', '1000');
  const vm = await vmOf(engine, name);
  await engine.docker('rm', '-f', name);
  const ready = await measureReady(lab, driver, vm);
  return { wall, phases: toPhases(vm.Timeline), ready, ...life };
}

function measureReady(
  { artifacts: { kernelPath, initrdPath } }: Lab,
  driver: HypervisorDriver,
  { MemoryMiB: memoryMiB, Vcpus: vcpus }: VmSummary,
): Promise<AgentReady> {
  return measureAgentReady(driver, { kernelPath, initrdPath, memoryMiB, vcpus });
}

function addFigures(findings: Findings, runs: readonly Run[]): void {
  const add = (name: string, pick: (run: Run) => number): void => {
    findings.add(name, 'ms', runs.map(pick));
  };
  add('docker CLI, create, attach', (run) => run.wall - run.start - run.run - run.teardown);
  for (const name of phaseNames) add(`phase ${name}`, (run) => run.phases[name]);
  add('whole start (create to start)', ({ start }) => start);
  add('run (start to exit)', ({ run }) => run);
  add('teardown (exit to removal)', ({ teardown }) => teardown);
  add('bare VM to agent ready', ({ ready }) => ready.helloMs);
  add('  QEMU, firmware, early kernel', ({ ready }) => ready.outsideMs);
  add('  kernel', ({ ready }) => ready.kernelMs);
  add('  agent', ({ ready }) => ready.agentMs);
  const used = runs.map(({ ready }) => ready.usedKiB / 1024);
  findings.add('guest memory used at agent ready', 'MiB', used);
}
