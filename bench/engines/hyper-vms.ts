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
/** A pool that does not grow for so long has no memory to. */
const steadyMs = 10_000;
/** Where VMs are forked, their parent is there so long after the template. */
const parentMs = 10_000;

/**
 * Resolves when hyperd has its template, and as many VMs waiting as it is to have, or all that it has memory
 * for.
 */
export async function untilWarm(engine: Engine, signal: AbortSignal): Promise<void> {
  const { Templates: templates, PoolSize: poolSize } = await versionOf(engine);
  if (!templates) return;
  const deadline = Date.now() + warmMs;
  const pool = poolSize > 0 ? new PoolWatch(engine) : null;
  while (!(await (pool?.isFull() ?? startsFromTemplate(engine)))) {
    if (Date.now() > deadline) throw new Error('hyperd does not get its VMs ready');
    await delay(pollMs, undefined, { signal });
  }
  if (pool === null) await untilParent(engine, signal);
}

/** Resolves when VMs can be forked, or have had the time to be; where the processor is not emulated they never are. */
async function untilParent(engine: Engine, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + parentMs;
  while (Date.now() < deadline) {
    const vms = await engine.api.json<readonly VmSummary[]>('GET', '/hyper/vms');
    if (vms.some(({ State }) => State === 'parent')) return;
    await delay(pollMs, undefined, { signal });
  }
}

interface WarmVersion {
  readonly Templates: boolean;
  readonly PoolSize: number;
}

function versionOf(engine: Engine): Promise<WarmVersion> {
  return engine.api.json<WarmVersion>('GET', '/hyper/version');
}

class PoolWatch {
  readonly #engine: Engine;
  #count = 0;
  #sinceMs = Date.now();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async isFull(): Promise<boolean> {
    const vms = await this.#engine.api.json<readonly VmSummary[]>('GET', '/hyper/vms');
    const count = vms.filter(({ State }) => State === 'waiting').length;
    if (count !== this.#count) this.#sinceMs = Date.now();
    this.#count = count;
    if (count > 0 && Date.now() - this.#sinceMs > steadyMs) return true;
    // Asked for each time: it follows the demand.
    return count >= (await versionOf(this.#engine)).PoolSize;
  }
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
