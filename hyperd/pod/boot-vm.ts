import type { Nic } from '../hypervisor/driver.ts';
import type { Endpoint } from '../network/network-manager.ts';
import { openAgentSession } from './agent-session.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import { spansOf } from './phase-clock.ts';
import { disksOf, rootfsOf } from './pod-disks.ts';
import { createEndpoint } from './pod-endpoint.ts';
import { PodMachine } from './pod-machine.ts';
import { ProcessExits } from './process-exits.ts';
import { makeRunDirectory } from './run-directory.ts';
import type { VmRequest } from './vm-request.ts';

/** Boots a VM with network endpoint and disks, up to the agent's hello. */
export async function bootVm(
  context: PodContext,
  request: VmRequest,
  signal: AbortSignal,
): Promise<PodMachine> {
  await using undo = new AsyncDisposableStack();
  const { spec, podId, clock } = request;
  undo.defer(() => {
    context.store.removePod(podId);
  });
  const runDirectory = await makeRunDirectory(context, podId, undo);
  const endpoint = await createEndpoint(context, request, { signal });
  if (endpoint !== null) undo.use(endpoint);
  const disks = disksOf(context, request);
  const devices = [...disks, ...nicsOf(endpoint)];
  clock.end('prepare');
  const { kernelPath, initrdPath } = context;
  const files = { runDirectory, kernelPath, initrdPath };
  const config = { ...spec.machine, ...files, id: podId, kernelArguments: [], devices };
  const vm = undo.use(
    await inPhase('starting the VM', () => context.driver.launch(config, signal)),
  );
  const base = { id: podId, vm: vm.record, endpoint: endpoint?.record ?? null, size: spec.machine };
  context.store.savePod({ ...base, origin: 'boot', kernelRelease: '', streams: null });
  const exits = new ProcessExits();
  const agent = await openAgentSession(context, vm, { exits, signal });
  undo.defer(() => {
    agent.close();
  });
  clock.end('agent', spansOf(vm.timeline));
  return new PodMachine({
    ...{ vm, agent, exits, endpoint, size: spec.machine, origin: 'boot' },
    rootfs: rootfsOf(request, new Map(disks.map(({ id }) => [id, id]))),
    deviceMacAddress: endpoint?.record.macAddress ?? '',
    kernelRelease: agent.hello.kernelRelease,
    resources: undo.move(),
    shutdownMs: context.deadlines.shutdownMs,
    logger: context.logger,
  });
}

function nicsOf(endpoint: Endpoint | null): readonly Nic[] {
  if (endpoint === null) return [];
  const { tapName, macAddress } = endpoint.record;
  return [{ kind: 'nic', id: 'eth0', tapName, macAddress }];
}
