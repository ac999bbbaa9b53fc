import type { TestDaemon } from '../test/support/daemon.ts';

/** Runs the docker CLI and returns its stdout; a command that fails must not count as a fast one. */
export async function docker(daemon: TestDaemon, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args);
  if (code !== 0) {
    throw new Error(`docker ${args.join(' ')}: exit status ${String(code)}: ${stderr.trim()}`);
  }
  return stdout;
}

/** What hyperd tells of the VM behind a running container. */
export interface VmSummary {
  readonly ContainerName: string;
  readonly Pid: number;
  readonly MemoryMiB: number;
  readonly Vcpus: number;
  readonly KernelRelease: string;
  readonly Timeline: Readonly<Record<string, number>>;
}

/** The VMs of all running containers. */
export function listVms(daemon: TestDaemon): Promise<readonly VmSummary[]> {
  return daemon.api.json<readonly VmSummary[]>('GET', '/hyper/vms');
}

/** The VM of one container. */
export async function vmOf(daemon: TestDaemon, name: string): Promise<VmSummary> {
  const vm = (await listVms(daemon)).find(({ ContainerName }) => ContainerName === name);
  if (vm === undefined) throw new Error(`container ${name} has no VM`);
  return vm;
}
