import type { Vm, VmConfig } from '../hypervisor/driver.ts';
import type { Endpoint, PreparedTap } from '../network/network-manager.ts';
import { openAgentSession } from './agent-session.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import { spansOf, type Timeline } from './phase-clock.ts';
import { disksOf, rootfsOf } from './pod-disks.ts';
import { createEndpoint } from './pod-endpoint.ts';
import { PodMachine } from './pod-machine.ts';
import { ProcessExits } from './process-exits.ts';
import { makeRunDirectory } from './run-directory.ts';
import type { VmRequest } from './vm-request.ts';
import { blankMacAddress, blankNic } from './warm/template.ts';

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
  const { network, kernelPath, initrdPath } = context;
  const hasNic = spec.network !== 'none' && network !== null;
  const tap = hasNic ? undo.use(await network.prepareTap()) : null;
  const disks = disksOf(context, request);
  const devices = [...disks, ...(tap === null ? [] : [blankNic(tap)])];
  clock.end('prepare');
  const files = { runDirectory, kernelPath, initrdPath };
  const config = { ...spec.machine, ...files, id: podId, kernelArguments: [], devices };
  const { vm, endpoint } = await launchConnected(context, request, { config, tap, signal, undo });
  const base = { id: podId, vm: vm.record, endpoint: endpoint?.record ?? null, size: spec.machine };
  context.store.savePod({ ...base, origin: 'boot', kernelRelease: '', streams: null });
  const exits = new ProcessExits();
  const agent = await openAgentSession(context, vm, { exits, signal });
  undo.defer(() => {
    agent.close();
  });
  clock.end('agent', { ...spansOf(vm.timeline), ...bootPhases(agent.hello.bootTimeline) });
  return new PodMachine({
    ...{ vm, agent, exits, endpoint, size: spec.machine, origin: 'boot' },
    rootfs: rootfsOf(request, new Map(disks.map(({ id }) => [id, id]))),
    deviceMacAddress: blankMacAddress,
    kernelRelease: agent.hello.kernelRelease,
    resources: undo.move(),
    shutdownMs: context.deadlines.shutdownMs,
    logger: context.logger,
  });
}

/** What the guest has timed of its boot, by its own clock. */
function bootPhases({ kernel, channel }: Timeline): Timeline {
  if (kernel === undefined || channel === undefined) return {};
  return { kernel, init: channel - kernel };
}

/**
 * Launches the VM, and gives it its place on the network meanwhile: the guest's own side comes with the start.
 * What fails ends the other one.
 */
async function launchConnected(
  context: PodContext,
  request: VmRequest,
  options: {
    readonly config: VmConfig;
    readonly tap: PreparedTap | null;
    readonly signal: AbortSignal;
    readonly undo: AsyncDisposableStack;
  },
): Promise<{ readonly vm: Vm; readonly endpoint: Endpoint | null }> {
  const { config, tap, undo } = options;
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const parts = [
    createEndpoint(context, request, { signal, tap }),
    inPhase('starting the VM', () => context.driver.launch(config, signal)),
  ] as const;
  for (const part of parts) {
    part.catch((cause: unknown) => {
      failure.abort(cause);
    });
  }
  const [connected, launched] = await Promise.allSettled(parts);
  if (connected.status === 'fulfilled' && connected.value !== null) undo.use(connected.value);
  if (launched.status === 'fulfilled') undo.use(launched.value);
  signal.throwIfAborted();
  const [endpoint, vm] = await Promise.all(parts);
  return { vm, endpoint };
}
