import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { openDriver } from '../../hyperd/hypervisor/registry.ts';
import type { Engine } from '../engines/engine.ts';
import { Floor } from '../engines/floor.ts';
import { untilWarm, vmOf } from '../engines/hyper-vms.ts';
import type { EngineName, Lab } from '../engines/lab.ts';
import {
  type Absent,
  interleave,
  isAbsent,
  type Measurement,
  withPresent,
} from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

/** For teardown off the critical path, which is not the next run's. */
const restMs = 500;

/** A container from nothing to gone, in every mode of hyperd, with Docker and above the floor. */
export const start: Scenario = {
  title: '`docker run --rm busybox true`',
  async measure(lab, { runs }, findings) {
    await using engines = await lab.prepare(['cold', 'template', 'pool', 'docker'], ['busybox']);
    await using floor = await openFloor(lab);
    const cold = engines.get('cold');
    const size = withPresent(cold, machineSize);
    const floorSize = isAbsent(size) ? size : await size;
    const run = (name: EngineName): Measurement<number> | Absent =>
      withPresent(
        engines.get(name),
        (engine) => () => startOnce(engine, name === 'pool', lab.signal),
      );
    const measured = await interleave(
      runs,
      {
        docker: run('docker'),
        pool: run('pool'),
        template: run('template'),
        cold: run('cold'),
        floor: withPresent(
          floorSize,
          ({ MemoryMiB, Vcpus }) =>
            () =>
              floor.measure(MemoryMiB, Vcpus),
        ),
      },
      lab.signal,
    );
    findings.add('Docker with runc', 'ms', measured.docker);
    findings.add('Hyper, pool', 'ms', measured.pool);
    findings.add('Hyper, template', 'ms', measured.template);
    findings.add('Hyper, cold', 'ms', measured.cold);
    findings.add('floor: same QEMU and kernel, init powers off', 'ms', measured.floor);
    findings.addRatio('pool ÷ Docker', [measured.pool, measured.docker], 'pool');
    findings.addRatio('template ÷ Docker', [measured.template, measured.docker], 'template');
    findings.addRatio('cold ÷ Docker', [measured.cold, measured.docker]);
    findings.addRatio('cold ÷ floor', [measured.cold, measured.floor], 'cold');
  },
};

async function startOnce(engine: Engine, isPooled: boolean, signal: AbortSignal): Promise<number> {
  const milliseconds = await timed(() => engine.docker('run', '--rm', 'busybox', 'true'));
  await rest(engine, isPooled, signal);
  return milliseconds;
}

/** Lets an engine be as it was before a start. */
export async function rest(engine: Engine, isPooled: boolean, signal: AbortSignal): Promise<void> {
  await delay(restMs, undefined, { signal });
  if (isPooled) await untilWarm(engine, signal);
}

async function openFloor(lab: Lab): Promise<Floor> {
  const { kernelPath } = lab.artifacts;
  const stateFile = path.join(lab.directory, 'kvm.json');
  return await Floor.open(await openDriver('qemu', { kernelPath, stateFile }), kernelPath);
}

/** The VM that a container without options gets. */
async function machineSize(engine: Engine): Promise<{ MemoryMiB: number; Vcpus: number }> {
  await engine.docker('run', '-d', '--name', 'size', 'busybox', 'sleep', '1000');
  const vm = await vmOf(engine, 'size');
  await engine.docker('rm', '-f', 'size');
  return vm;
}
