import { cpus, loadavg, release, totalmem } from 'node:os';

import { run } from '../hyperd/base/subprocess.ts';
import type { TestDaemon } from '../test/support/daemon.ts';

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
  readonly docker: string;
  /** Commit of the tree, with a plus sign when files have changed since. */
  readonly commit: string;
  readonly hyperKernel: string;
}

/** Asks the daemon and the machine. `loadAverage` is the caller's, from before it made load itself. */
export async function describeMachine(
  daemon: TestDaemon,
  root: string,
  loadAverage: number,
): Promise<Machine> {
  const version = await daemon.api.json<HyperVersion>('GET', '/hyper/version');
  const docker = await daemon.docker(['version', '--format', '{{.Client.Version}}']);
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: `${(processors[0]?.model ?? 'unknown CPU').trim()} × ${String(processors.length)}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    linux: release(),
    qemu: version.HypervisorVersion,
    accelerator: version.HardwareAccelerated ? 'KVM' : 'TCG',
    node: process.versions.node,
    docker: docker.stdout.trim(),
    commit: await describeCommit(root),
    hyperKernel: version.HyperKernel,
    loadAverage,
  };
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
    `docker CLI ${machine.docker}`,
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
