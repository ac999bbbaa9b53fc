import { HyperError } from '../base/error.ts';
import type { Endpoint, PreparedTap } from '../network/network-manager.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import type { VmRequest } from './vm-request.ts';

/**
 * Gives a pod its place on the network; null when its container wants none. The VM may have a NIC all the same,
 * with which its guest, which is not to be trusted, shall reach nobody.
 */
export async function createEndpoint(
  context: PodContext,
  { podId, containerName, spec }: VmRequest,
  { signal, tap = null }: { signal: AbortSignal; tap?: PreparedTap | null },
): Promise<Endpoint | null> {
  const { network } = context;
  const phase = `failed to set up container networking: endpoint ${containerName}`;
  if (spec.network === 'none') {
    if (tap !== null) await inPhase(phase, async () => network?.silence(tap));
    return null;
  }
  // A container that has just ended still holds its ports until its VM is down.
  if (spec.ports.length > 0) {
    await Promise.all([...context.table.all().map(({ pod }) => pod.settled()), ...context.leaving]);
  }
  return inPhase(phase, () => {
    if (network === null) {
      throw new HyperError('UNAVAILABLE', 'hyperd runs without a bridge network', {
        hint: 'start the container with --network none, or hyperd as root',
      });
    }
    const fixed = spec.macAddress === null ? {} : { macAddress: spec.macAddress };
    const made = tap === null ? {} : { tap };
    return network.createEndpoint({ podId, ports: spec.ports, ...fixed, ...made }, signal);
  });
}
