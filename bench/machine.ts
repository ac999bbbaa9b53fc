import { cpus, loadavg, release, totalmem } from 'node:os';

import { run } from '../hyperd/base/subprocess.ts';
import type { Engine } from './engines/engine.ts';
import type { Lab } from './engines/lab.ts';
import { isAbsent } from './measure/series.ts';

interface HyperVersion {
  readonly HypervisorVersion: string;
  readonly HardwareAccelerated: boolean;
  readonly HyperKernel: string;
}

/** Where and with what the figures were measured. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly memoryGiB: number;
  /** Of the last minute, before the bench began. */
  readonly loadAverage: number;
  readonly linux: string;
  readonly qemu: string;
  readonly accelerator: 'KVM' | 'TCG';
  readonly node: string;
  readonly dockerClient: string;
  /** Docker Engine, containerd and runc of the peer, or why there is none. */
  readonly peer: string;
  /** Commit of the tree, with a plus sign when files have changed since. */
  readonly commit: string;
  readonly hyperKernel: string;
}

interface DockerVersion {
  readonly Components: readonly { readonly Name: string; readonly Version: string }[];
}

/** Asks the daemons and the machine. `loadAverage` is the caller's, from before it made load itself. */
export async function describeMachine(
  lab: Lab,
  root: string,
  loadAverage: number,
): Promise<Machine> {
  await using hyperd = await openHyperd(lab);
  const version = await hyperd.api.json<HyperVersion>('GET', '/hyper/version');
  const client = await hyperd.docker('version', '--format', '{{.Client.Version}}');
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: `${(processors[0]?.model ?? 'unknown CPU').trim()} × ${String(processors.length)}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    linux: release(),
    qemu: version.HypervisorVersion,
    accelerator: version.HardwareAccelerated ? 'KVM' : 'TCG',
    node: process.versions.node,
    dockerClient: client.trim(),
    peer: await describePeer(lab),
    commit: await describeCommit(root),
    hyperKernel: version.HyperKernel,
    loadAverage,
  };
}

async function openHyperd(lab: Lab): Promise<Engine> {
  const hyperd = await lab.hyperd('default');
  if (isAbsent(hyperd)) throw new Error(hyperd.absent);
  return hyperd;
}

async function describePeer(lab: Lab): Promise<string> {
  const docker = await lab.docker();
  if (isAbsent(docker)) return docker.absent;
  const { Components } = await docker.api.json<DockerVersion>('GET', '/version');
  const wanted = ['Engine', 'containerd', 'runc'];
  return Components.filter(({ Name }) => wanted.includes(Name))
    .map(({ Name, Version }) => `${Name === 'Engine' ? 'Docker Engine' : Name} ${Version}`)
    .join(', ');
}

/** One-minute load average of now, for `describeMachine`. */
export function currentLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10;
}

/** One line for people. */
export function formatMachine(machine: Machine): string {
  return [
    machine.date,
    `${machine.cpu}, ${String(machine.memoryGiB)} GiB, load ${String(machine.loadAverage)} before`,
    `Linux ${machine.linux}`,
    `QEMU ${machine.qemu} (${machine.accelerator})`,
    `HyperKernel ${machine.hyperKernel}`,
    `Node ${machine.node}`,
    `docker CLI ${machine.dockerClient}`,
    machine.peer,
    `commit ${machine.commit}`,
  ].join('; ');
}

async function describeCommit(root: string): Promise<string> {
  try {
    const head = await run('git', ['-C', root, 'rev-parse', '--short', 'HEAD']);
    const changes = await run('git', ['-C', root, 'status', '--porcelain', '--untracked-files=no']);
    return head.stdout.trim() + (changes.stdout === '' ? '' : '+');
  } catch {
    // A tree without git, or git is not installed.
    return 'unknown';
  }
}
