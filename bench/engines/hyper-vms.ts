import { setTimeout as delay } from 'node:timers/promises';

import { readIfAlive } from './processes.ts';
import type { Engine } from './engine.ts';

/** What hyperd tells of the VM behind a running container. */
export interface VmSummary {
  readonly ContainerName: string;
  readonly State: string;
  /** How it was started. */
  readonly Origin: string;
  /** In the daemon's process namespace. */
  readonly Pid: number;
  readonly MemoryMiB: number;
  readonly Vcpus: number;
  readonly Timeline: Readonly<Record<string, number>>;
}

const pollMs = 100;
const warmMs = 120_000;

/** Resolves when hyperd has its template, and as many VMs waiting as it is to have. */
export async function untilWarm(engine: Engine, signal: AbortSignal): Promise<void> {
  const { Templates: templates, PoolSize: poolSize } = await engine.api.json<{
    Templates: boolean;
    PoolSize: number;
  }>('GET', '/hyper/version');
  const isWarm = (): Promise<boolean> =>
    poolSize > 0 ? hasWaiting(engine, poolSize) : startsFromTemplate(engine);
  const deadline = Date.now() + warmMs;
  while (templates && !(await isWarm())) {
    if (Date.now() > deadline) throw new Error('hyperd does not get its VMs ready');
    await delay(pollMs, undefined, { signal });
  }
}

async function hasWaiting(engine: Engine, count: number): Promise<boolean> {
  const vms = await engine.api.json<readonly VmSummary[]>('GET', '/hyper/vms');
  return vms.filter(({ State }) => State === 'waiting').length === count;
}

async function startsFromTemplate(engine: Engine): Promise<boolean> {
  await engine.docker('run', '-d', '--name', 'probe', 'busybox', 'sleep', '1000');
  const { Origin } = await vmOf(engine, 'probe');
  await engine.docker('rm', '-f', 'probe');
  return Origin === 'template';
}

/** The VM of one container. */
export async function vmOf(engine: Engine, name: string): Promise<VmSummary> {
  const vms = await engine.api.json<readonly VmSummary[]>('GET', '/hyper/vms');
  const vm = vms.find(({ ContainerName }) => ContainerName === name);
  if (vm === undefined) throw new Error(`container ${name} has no VM`);
  return vm;
}

/** The VM's process as the host numbers it. */
export async function hostPid(engine: Engine, vm: VmSummary): Promise<number> {
  for (const { pid } of await engine.processes()) {
    const [, inside] = /^NSpid:\t\d+\t(\d+)/m.exec(await readIfAlive(pid, 'status')) ?? [];
    if (Number(inside) === vm.Pid) return pid;
  }
  throw new Error(`the VM of ${vm.ContainerName} has no process`);
}
