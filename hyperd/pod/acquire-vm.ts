import { bootVm } from './boot-vm.ts';
import { claimVm } from './claim-vm.ts';
import type { PodContext } from './context.ts';
import type { PodMachine } from './pod-machine.ts';
import type { VmRequest } from './vm-request.ts';

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
  const { machine } = request.spec;
  request.clock.begin();
  const layerCount = new Set(request.layers.map(({ diffId }) => diffId)).size;
  const warm = (await context.warm?.take(machine, layerCount, signal)) ?? null;
  return warm === null ? bootVm(context, request, signal) : claimVm(context, request, warm, signal);
}
