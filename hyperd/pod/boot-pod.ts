import { mkdir, rm } from 'node:fs/promises';

import { HyperError } from '../base/error.ts';
import type { Disk, Nic, Vm } from '../hypervisor/driver.ts';
import type { LayerFile } from '../image/image-store.ts';
import type { Endpoint, PreparedTap } from '../network/network-manager.ts';
import type { AgentConnection } from './agent-connection.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import { type PhaseClock, spansOf } from './phase-clock.ts';
import { type MachineRootfs, PodMachine } from './pod-machine.ts';
import { ProcessExits } from './process-exits.ts';
import type { ContainerSpec } from './spec/container-spec.ts';
import { blankMacAddress } from './warm/template.ts';
import type { WarmVm } from './warm/warm-vms.ts';

export interface BootRequest {
  readonly podId: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly layers: readonly LayerFile[];
  readonly spec: ContainerSpec;
  /** Is told the phases of the boot. */
  readonly clock: PhaseClock;
}

/** Names of the disks towards the hypervisor; a booted VM's guest finds them by these, too. */
function layerDiskId(diffId: string): string {
  return `l${diffId.replace(/^sha256:/, '').slice(0, 16)}`;
}

function writableDiskId(containerId: string): string {
  return `w${containerId.slice(0, 16)}`;
}

/**
 * Brings a pod's VM up to the point where its container can be started: one that waited or was cloned
 * where there is one, else one that is booted. On failure or abort nothing is left behind, and the error
 * tells the phase and the last console lines.
 */
export async function bootPod(
  context: PodContext,
  request: BootRequest,
  signal: AbortSignal,
): Promise<PodMachine> {
  const { machine } = request.spec;
  request.clock.begin();
  const layerCount = new Set(request.layers.map(({ diffId }) => diffId)).size;
  const warm = (await context.warm?.take(machine, layerCount, signal)) ?? null;
  return warm === null ? bootVm(context, request, signal) : claimVm(context, request, warm, signal);
}

/** Boots a VM with network endpoint and disks, up to the agent's hello. */
async function bootVm(
  context: PodContext,
  request: BootRequest,
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
  clock.end('prepare');
  const launched = await inPhase('starting the VM', () =>
    context.driver.launch(
      {
        id: podId,
        runDirectory,
        kernelPath: context.kernelPath,
        initrdPath: context.initrdPath,
        kernelArguments: [],
        ...spec.machine,
        devices: [...disks, ...nicsOf(endpoint)],
      },
      signal,
    ),
  );
  const vm = undo.use(launched);
  const base = { id: podId, vm: vm.record, endpoint: endpoint?.record ?? null, size: spec.machine };
  context.store.savePod({ ...base, origin: 'boot', kernelRelease: '', streams: null });
  const exits = new ProcessExits();
  const agent = await connect(context, vm, { exits, signal });
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

/** Makes a blank VM this pod's: network endpoint, disks, and on with its processors. */
async function claimVm(
  context: PodContext,
  request: BootRequest,
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
  request: BootRequest,
  { vm, signal }: { vm: Vm; signal: AbortSignal },
): Promise<ReadonlyMap<string, string>> {
  const plugged = await Promise.all(disksOf(context, request).map((disk) => vm.plug(disk, signal)));
  return new Map(plugged.map(({ id, guestName }) => [id, guestName]));
}

function rootfsOf(
  { layers, containerId }: BootRequest,
  guestNames: ReadonlyMap<string, string>,
): MachineRootfs {
  const nameOf = (id: string): string => guestNames.get(id) ?? id;
  return {
    layers: layers.map(({ diffId }) => nameOf(layerDiskId(diffId))),
    writableDisk: nameOf(writableDiskId(containerId)),
  };
}

/**
 * Opens the agent session of a VM. A VM that dies meanwhile ends the wait at once.
 */
export async function connect(
  context: PodContext,
  vm: Vm,
  options: { readonly exits: ProcessExits; readonly signal: AbortSignal },
): Promise<AgentConnection> {
  const { agentMs } = context.deadlines;
  const gaveUp = new AbortController();
  const signal = AbortSignal.any([options.signal, gaveUp.signal]);
  const timer = setTimeout(() => {
    const seconds = String(Math.round(agentMs / 1000));
    gaveUp.abort(new HyperError('TIMEOUT', `no answer within ${seconds} s`));
  }, agentMs);
  void vm.exited.then((exit) => {
    const how = exit.reason === 'crashed' ? exit.detail : 'the VM powered off';
    gaveUp.abort(new HyperError('UNAVAILABLE', how));
  });
  try {
    return await inPhase(
      'waiting for the agent in the VM',
      async () => {
        try {
          const channel = await vm.connect('control', signal);
          const onEvent = options.exits.onEvent.bind(options.exits);
          return await context.connectAgent(channel, { onEvent, signal });
        } catch (thrown) {
          // Whatever broke, the reason why we gave up is the better story.
          signal.throwIfAborted();
          throw thrown;
        }
      },
      vm,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Makes a VM's run directory afresh. */
export async function makeRunDirectory(
  context: PodContext,
  vmId: string,
  undo: AsyncDisposableStack,
): Promise<string> {
  const directory = context.paths.run(vmId);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function createEndpoint(
  context: PodContext,
  { podId, containerName, spec }: BootRequest,
  { signal, tap = null }: { signal: AbortSignal; tap?: PreparedTap | null },
): Promise<Endpoint | null> {
  if (spec.network === 'none') return null;
  // A container that has just ended still holds its ports until its VM is down.
  if (spec.ports.length > 0) {
    await Promise.all([...context.table.all().map(({ pod }) => pod.settled()), ...context.leaving]);
  }
  const { network } = context;
  const phase = `failed to set up container networking: endpoint ${containerName}`;
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

function disksOf(context: PodContext, { containerId, layers }: BootRequest): readonly Disk[] {
  // An image may list one layer twice; the disk is there once.
  const unique = new Map(layers.map((layer) => [layerDiskId(layer.diffId), layer.path]));
  const writable: Disk = {
    kind: 'disk',
    id: writableDiskId(containerId),
    path: context.paths.writableDisk(containerId),
    readOnly: false,
  };
  const readOnly = [...unique].map(([id, path]): Disk => ({
    kind: 'disk',
    id,
    path,
    readOnly: true,
  }));
  return [...readOnly, writable];
}

function nicsOf(endpoint: Endpoint | null): readonly Nic[] {
  if (endpoint === null) return [];
  const { tapName, macAddress } = endpoint.record;
  return [{ kind: 'nic', id: 'eth0', tapName, macAddress }];
}
