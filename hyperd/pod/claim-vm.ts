import type { Vm } from '../hypervisor/driver.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import { disksOf, rootfsOf } from './pod-disks.ts';
import { createEndpoint } from './pod-endpoint.ts';
import { PodMachine } from './pod-machine.ts';
import type { VmRequest } from './vm-request.ts';
import { blankMacAddress } from './warm/template.ts';
import type { WarmVm } from './warm/warm-vms.ts';

/** Makes a blank VM this pod's: network endpoint, disks, and on with its processors. */
export async function claimVm(
  context: PodContext,
  request: VmRequest,
  warm: WarmVm,
  signal: AbortSignal,
): Promise<PodMachine> {
  await using undo = new AsyncDisposableStack();
  const { vm, agent, exits, tap, origin } = warm;
  const { spec, podId, clock } = request;
  undo.defer(() => {
    context.store.removePod(podId);
  });
  undo.use(warm.resources);
  if (origin === 'pool') clock.end('pool');
  else clock.end('agent', warm.timeline);
  const plugging = inPhase('plugging the disks', () => plugDisks(context, request, { vm, signal }));
  plugging.catch(() => undefined);
  const endpoint = await createEndpoint(context, request, { signal, tap });
  if (endpoint !== null) undo.use(endpoint);
  const guestNames = await plugging;
  clock.end('prepare');
  if (origin === 'pool') {
    await vm.resume();
    clock.end('running');
  }
  const { kernelRelease } = agent.hello;
  const base = { id: podId, vm: vm.record, endpoint: endpoint?.record ?? null, size: spec.machine };
  context.store.savePod({ ...base, origin, kernelRelease, streams: null });
  return new PodMachine({
    ...{ vm, agent, exits, endpoint, size: spec.machine, origin, kernelRelease },
    rootfs: rootfsOf(request, guestNames),
    deviceMacAddress: blankMacAddress,
    resources: undo.move(),
    shutdownMs: context.deadlines.shutdownMs,
    logger: context.logger,
  });
}

/** Serial by disk id. */
async function plugDisks(
  context: PodContext,
  request: VmRequest,
  { vm, signal }: { vm: Vm; signal: AbortSignal },
): Promise<ReadonlyMap<string, string>> {
  const plugged = await Promise.all(disksOf(context, request).map((disk) => vm.plug(disk, signal)));
  return new Map(plugged.map(({ id, guestName }) => [id, guestName]));
}
