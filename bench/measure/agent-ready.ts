import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { openAgentClient } from '../../hyperd/agent/agent-client.ts';
import type { HypervisorDriver, VmConfig } from '../../hyperd/hypervisor/driver.ts';
import { type BootParts, toBootParts } from './phases.ts';

export interface AgentReady extends BootParts {
  /** From launch to the agent's hello. */
  readonly helloMs: number;
  readonly usedKiB: number;
  readonly kernelRelease: string;
}

type BareVm = Pick<VmConfig, 'kernelPath' | 'initrdPath' | 'memoryMiB' | 'vcpus'>;

/** Boots a VM without disk and network up to the agent's hello, reads what it says, and ends the VM. */
export async function measureAgentReady(
  driver: HypervisorDriver,
  config: BareVm,
): Promise<AgentReady> {
  await using undo = new AsyncDisposableStack();
  const runDirectory = await mkdtemp(path.join(tmpdir(), 'hyper-ready-'));
  undo.defer(() => rm(runDirectory, { recursive: true, force: true }));
  const signal = AbortSignal.timeout(120_000);
  const startedAt = performance.now();
  const bare = { id: 'a'.repeat(64), runDirectory, kernelArguments: [], devices: [] };
  const vm = undo.use(await driver.launch({ ...config, ...bare }, signal));
  const channel = await vm.connect('control', signal);
  const agent = await openAgentClient(channel, { onEvent: () => undefined, signal });
  undo.defer(() => {
    agent.close();
  });
  const helloMs = performance.now() - startedAt;
  const hello = await agent.greeted;
  return {
    helloMs,
    ...toBootParts(helloMs, hello.bootTimeline),
    usedKiB: hello.memoryTotalKiB - hello.memoryFreeKiB,
    kernelRelease: hello.kernelRelease,
  };
}
