import { mkdir, rm } from 'node:fs/promises';

import { HyperError } from '../base/error.ts';
import type { Disk, Nic, Vm } from '../hypervisor/driver.ts';
import type { LayerFile } from '../image/image-store.ts';
import type { Endpoint } from '../network/network-manager.ts';
import type { AgentConnection } from './agent-connection.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import { PodMachine } from './pod-machine.ts';
import { ProcessExits } from './process-exits.ts';
import type { ContainerSpec } from './spec/container-spec.ts';

export interface BootRequest {
  readonly podId: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly layers: readonly LayerFile[];
  readonly spec: ContainerSpec;
}

/** Serial by which the guest finds a layer. */
export function layerSerial(diffId: string): string {
  return `l${diffId.replace(/^sha256:/, '').slice(0, 16)}`;
}

/** Serial by which the guest finds a container's writable disk. */
export function writableSerial(containerId: string): string {
  return `w${containerId.slice(0, 16)}`;
}

/**
 * Boots a pod's VM up to the agent's hello: network endpoint and disks, launch, connect. On failure or
 * abort nothing is left behind, and the error tells the phase and the last console lines.
 */
export async function bootPod(
  context: PodContext,
  request: BootRequest,
  signal: AbortSignal,
): Promise<PodMachine> {
  await using undo = new AsyncDisposableStack();
  const { spec, podId } = request;
  const startedAt = performance.now();
  undo.defer(() => {
    context.store.removePod(podId);
  });
  const runDirectory = await makeRunDirectory(context, podId, undo);
  const endpoint = await createEndpoint(context, request, signal);
  if (endpoint !== null) undo.use(endpoint);
  const devices = [...disksOf(context, request), ...nicsOf(endpoint)];
  const prepareMs = elapsed(startedAt);
  const launched = await inPhase('starting the VM', () =>
    context.driver.launch(
      {
        id: podId,
        runDirectory,
        kernelPath: context.kernelPath,
        initrdPath: context.initrdPath,
        kernelArguments: [],
        ...spec.machine,
        devices,
      },
      signal,
    ),
  );
  const vm = undo.use(launched);
  const base = { id: podId, vm: vm.record, endpoint: endpoint?.record ?? null, size: spec.machine };
  context.store.savePod({ ...base, timeline: {}, kernelRelease: '', streams: null });
  const exits = new ProcessExits();
  const agent = await connect(context, vm, { exits, signal });
  undo.defer(() => {
    agent.close();
  });
  return new PodMachine({
    ...{ vm, agent, exits, endpoint, size: spec.machine },
    timeline: { prepare: prepareMs, ...vm.timeline, agent: elapsed(startedAt) },
    kernelRelease: agent.hello.kernelRelease,
    resources: undo.move(),
    shutdownMs: context.deadlines.shutdownMs,
    logger: context.logger,
  });
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

async function makeRunDirectory(
  context: PodContext,
  podId: string,
  undo: AsyncDisposableStack,
): Promise<string> {
  const directory = context.paths.run(podId);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function createEndpoint(
  context: PodContext,
  { podId, containerName, spec }: BootRequest,
  signal: AbortSignal,
): Promise<Endpoint | null> {
  if (spec.network === 'none') return null;
  // A container that has just ended still holds its ports until its VM is down.
  if (spec.ports.length > 0) {
    await Promise.all(context.table.all().map(({ pod }) => pod.settled()));
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
    return network.createEndpoint({ podId, ports: spec.ports, ...fixed }, signal);
  });
}

function disksOf(context: PodContext, { containerId, layers }: BootRequest): readonly Disk[] {
  // An image may list one layer twice; the disk is there once.
  const unique = new Map(layers.map((layer) => [layerSerial(layer.diffId), layer.path]));
  const writable: Disk = {
    kind: 'disk',
    id: writableSerial(containerId),
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

function elapsed(since: number): number {
  return Math.round((performance.now() - since) * 10) / 10;
}
