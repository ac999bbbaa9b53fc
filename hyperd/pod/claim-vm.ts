import { HyperError, isHyperError, messageOf } from '../base/error.ts';
import type { Vm } from '../hypervisor/driver.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import { disksOf, rootfsOf } from './pod-disks.ts';
import { createEndpoint } from './pod-endpoint.ts';
import { PodMachine } from './pod-machine.ts';
import type { VmRequest } from './vm-request.ts';
import { blankMacAddress } from './warm/template.ts';
import type { WarmVm } from './warm/warm-vms.ts';

/** The VM failed on its way to a pod, through nothing that the pod asked for: another one may do. */
export class LostVmError extends HyperError {
  constructor(cause: unknown) {
    super('UNAVAILABLE', messageOf(cause), { cause });
    this.name = 'LostVmError';
  }
}

/**
 * Makes a blank VM this pod's: network endpoint, disks, and on with its processors. On failure or abort
 * nothing is left behind, not even the VM; LostVmError when it was the VM that failed.
 */
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
  const plugging = plugDisks(context, request, { vm, signal });
  plugging.catch(() => undefined);
  const endpoint = await createEndpoint(context, request, { signal, tap });
  if (endpoint !== null) undo.use(endpoint);
  const guestNames = await plugging;
  clock.end('prepare');
  if (origin === 'pool') {
    await resume(vm);
    clock.end('running');
  }
  await assertAlive(warm);
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
  try {
    const plugged = await inPhase('plugging the disks', () =>
      Promise.all(disksOf(context, request).map((disk) => vm.plug(disk, signal))),
    );
    return new Map(plugged.map(({ id, guestName }) => [id, guestName]));
  } catch (thrown) {
    // A VM that answers has a reason to refuse a disk, such as a missing file: any other VM has it, too.
    const isLost = isHyperError(thrown, 'UNAVAILABLE') || isHyperError(thrown, 'TIMEOUT');
    throw isLost ? new LostVmError(thrown) : thrown;
  }
}

async function resume(vm: Vm): Promise<void> {
  try {
    await inPhase('resuming the VM', () => vm.resume());
  } catch (thrown) {
    throw new LostVmError(thrown);
  }
}

/** Nothing may have been asked of the VM since it died: then it is known from this alone. */
async function assertAlive({ vm, agent }: WarmVm): Promise<void> {
  const alive = Symbol('alive');
  const first = await Promise.race([vm.exited, agent.closed, Promise.resolve(alive)]);
  if (first !== alive) throw new LostVmError('it has ended, or its agent has hung up');
}
