import { readIfAlive } from './processes.ts';
import type { Engine } from './engine.ts';

/** What hyperd tells of the VM behind a running container. */
export interface VmSummary {
  readonly ContainerName: string;
  /** In the daemon's process namespace. */
  readonly Pid: number;
  readonly MemoryMiB: number;
  readonly Vcpus: number;
  readonly Timeline: Readonly<Record<string, number>>;
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
