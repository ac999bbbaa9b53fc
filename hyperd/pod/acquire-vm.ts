import { bootVm } from './boot-vm.ts';
import { claimVm, LostVmError } from './claim-vm.ts';
import type { PodContext } from './context.ts';
import type { PodMachine } from './pod-machine.ts';
import type { VmRequest } from './vm-request.ts';
import type { WarmVm } from './warm/warm-vms.ts';

/** After so many lost VMs a start has its own booted: what ails them may be in all of them. */
const maxLost = 3;

/**
 * Brings a pod's VM up to the point where its container can be started: one that waited or was cloned
 * where there is one, else one that is booted. On failure or abort nothing is left behind, and the error
 * tells the phase and the last console lines.
 */
export async function acquireVm(
  context: PodContext,
  request: VmRequest,
  signal: AbortSignal,
): Promise<PodMachine> {
  const { clock } = request;
  clock.begin();
  for (let lost = 0; lost < maxLost; lost += 1) {
    const warm = await takeWarmVm(context, request, signal);
    if (warm === null) break;
    try {
      return await claimVm(context, request, warm, signal);
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof LostVmError)) throw thrown;
      clock.fold('lost');
      const fields = { container: request.containerId, pid: warm.vm.record.pid, err: thrown };
      const text = `a VM from the ${warm.origin} failed when a container was to get it, which gets another one`;
      context.logger.warn(fields, `${text}: ${thrown.message}`);
    }
  }
  return bootVm(context, request, signal);
}

async function takeWarmVm(
  { warm }: PodContext,
  { layers, spec }: VmRequest,
  signal: AbortSignal,
): Promise<WarmVm | null> {
  const layerCount = new Set(layers.map(({ diffId }) => diffId)).size;
  return (await warm?.take(spec.machine, layerCount, signal)) ?? null;
}
