import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { isHyperError, messageOf } from '../base/error.ts';
import type { Vm } from '../hypervisor/driver.ts';
import type { Endpoint } from '../network/network-manager.ts';
import { openAgentSession } from './agent-session.ts';
import { Container } from './container.ts';
import type { ContainerRecord, PodRecord } from './container-record.ts';
import type { ContainerState, EndedState } from './container-state.ts';
import type { PodContext } from './context.ts';
import { deleteContainer } from './delete-container.ts';
import { superviseRun } from './end-container.ts';
import { killProcessesIn } from './orphan-processes.ts';
import { PodMachine } from './pod-machine.ts';
import { ProcessExits } from './process-exits.ts';
import { Run } from './run.ts';
import { restarter, startContainer } from './start-container.ts';
import { parseRestartPolicy } from './spec/restart-policy.ts';

/** Exit code of a container that ended while no daemon saw it. */
const unseenExitCode = 255;
const adoptMs = 15_000;

/**
 * Takes up what the former daemon left: adopts the VMs that run, settles the containers whose VM died
 * meanwhile, and removes what belongs to nobody.
 */
export async function recover(context: PodContext): Promise<void> {
  const pods = new Map(context.store.pods().map((pod) => [pod.id, pod]));
  const records = context.store.containers();
  await Promise.all(
    records.map((record) => recoverContainer(context, record, pods.get(record.id))),
  );
  const adopted = context.table
    .all()
    .flatMap(({ pod }) =>
      pod.state.status === 'running' ? [{ id: pod.id, machine: pod.state.machine }] : [],
    );
  const adoptedIds = new Set(adopted.map(({ id }) => id));
  const lost = [...pods.values()].filter(({ id }) => !adoptedIds.has(id));
  await Promise.all(lost.map((pod) => discardPod(context, pod)));
  await removeOrphans(
    context,
    adopted.map(({ machine }) => machine),
  );
  settleRemovals(context);
  startByPolicy(context);
}

async function recoverContainer(
  context: PodContext,
  record: ContainerRecord,
  pod: PodRecord | undefined,
): Promise<void> {
  const { store, events, table } = context;
  const { status } = record.state;
  if (status !== 'running' && status !== 'paused') {
    const state: EndedState = { status, exit: record.state.exit };
    table.add(new Container({ record, state, store, events }));
    return;
  }
  try {
    if (pod?.streams) {
      await adopt(context, record, { ...pod, streams: pod.streams });
      return;
    }
  } catch (cause) {
    context.logger.warn(
      { container: record.id, err: cause },
      `container ${record.name} could not be taken over: ${messageOf(cause)}`,
    );
  }
  addLost(context, record);
}

/** A container that ran when the former daemon ended, and whose VM is gone. */
function addLost(context: PodContext, record: ContainerRecord): void {
  const { store, events, table } = context;
  const exit = {
    exitCode: unseenExitCode,
    oomKilled: false,
    error: 'the VM of the container ended while hyperd was not running',
    startedUnixMs: record.state.startedUnixMs,
    finishedUnixMs: Date.now(),
  };
  const restarts = parseRestartPolicy(record.hostConfig).name !== 'no' && !record.stoppedByHand;
  const state: EndedState = { status: restarts ? 'restarting' : 'exited', exit };
  const container = new Container({ record, state, store, events });
  container.update({ state: { status: state.status, exit, startedUnixMs: null } });
  table.add(container);
  container.publish('die', { exitCode: String(exit.exitCode) });
}

type StartedPod = PodRecord & { readonly streams: NonNullable<PodRecord['streams']> };

async function adopt(context: PodContext, record: ContainerRecord, pod: StartedPod): Promise<void> {
  const { store, events, table, driver, logger } = context;
  const signal = AbortSignal.any([context.closing, AbortSignal.timeout(adoptMs)]);
  await using undo = new AsyncDisposableStack();
  const vm = await driver.adopt(pod.vm, signal);
  const resources = new AsyncDisposableStack();
  resources.defer(() => {
    store.removePod(pod.id);
  });
  resources.defer(() => rm(pod.vm.runDirectory, { recursive: true, force: true }));
  const endpoint = await adoptEndpoint(context, pod);
  if (endpoint !== null) resources.use(endpoint);
  resources.use(vm);
  undo.use(resources);
  const exits = new ProcessExits();
  const ref = { containerId: record.id, execId: null };
  const exited = exits.expect(ref);
  const agent = await openAgentSession(context, vm, { exits, signal });
  resources.defer(() => {
    agent.close();
  });
  const { size, origin, kernelRelease, streams } = pod;
  const machine = new PodMachine({
    ...{ vm, agent, exits, endpoint, size, origin, kernelRelease, resources, logger },
    ...{ rootfs: null, deviceMacAddress: '' },
    shutdownMs: context.deadlines.shutdownMs,
  });
  const known = agent.hello.processes.find(
    ({ containerId, execId }) => containerId === record.id && execId === null,
  );
  if (known === undefined) throw new Error('its process is not known to the agent');
  const directory = context.paths.container(record.id);
  const { Type: type, Config: options } = record.hostConfig.LogConfig ?? {};
  const logConfig = { driver: type ?? '', options: options ?? {}, directory };
  const log = await context.openLog({ ...logConfig, containerId: record.id });
  const run = new Run(machine, streams, exited);
  const status = record.state.status === 'paused' ? 'paused' : 'running';
  const state: ContainerState = { status, run, startedUnixMs: record.state.startedUnixMs ?? 0 };
  const container = new Container({ record, state, store, events });
  container.pod.adopt(machine);
  container.log = log;
  table.add(container);
  undo.move();
  superviseRun(context, container, { run, restart: restarter(context, container) });
  drainStrangers(machine);
  if (known.exit !== null) exits.settle(ref, known.exit);
  logger.info({ container: record.id, vm: vm.record.pid }, `took over container ${record.name}`);
}

/** Execs of the former daemon have no client any more: their output is read so that they can end. */
function drainStrangers({ agent }: PodMachine): void {
  for (const { execId, streams } of agent.hello.processes) {
    if (execId === null) continue;
    for (const id of [streams.stdout, streams.stderr]) {
      if (id !== null)
        agent
          .openReadable(id)
          .on('error', () => undefined)
          .resume();
    }
    if (streams.stdin !== null)
      agent
        .openWritable(streams.stdin)
        .on('error', () => undefined)
        .end();
  }
}

async function adoptEndpoint(context: PodContext, pod: PodRecord): Promise<Endpoint | null> {
  if (pod.endpoint === null || context.network === null) return null;
  return context.network.adoptEndpoint(pod.endpoint);
}

/** Ends a VM that no container claims and forgets its record. */
async function discardPod(context: PodContext, pod: PodRecord): Promise<void> {
  try {
    const vm: Vm = await context.driver.adopt(pod.vm, AbortSignal.timeout(adoptMs));
    await vm[Symbol.asyncDispose]();
  } catch (cause) {
    if (!isHyperError(cause, 'NOT_FOUND')) {
      context.logger.warn({ pod: pod.id, err: cause }, 'a VM without a container was not ended');
    }
  }
  context.store.removePod(pod.id);
}

async function removeOrphans(context: PodContext, adopted: readonly PodMachine[]): Promise<void> {
  const { paths, table, network } = context;
  const taps = adopted.flatMap(({ endpoint }) => endpoint?.record.tapName ?? []);
  await network?.sweep(new Set(taps));
  const runNames = new Set(adopted.map(({ vm }) => path.basename(vm.record.runDirectory)));
  const runs = await entriesBut(paths.runs, runNames);
  await killProcessesIn(runs);
  const known = new Set(table.all().map(({ id }) => id));
  const orphans = [...runs, ...(await entriesBut(paths.containers, known))];
  await Promise.all(orphans.map((orphan) => rm(orphan, { recursive: true, force: true })));
}

async function entriesBut(
  directory: string,
  wanted: ReadonlySet<string>,
): Promise<readonly string[]> {
  const names = await readdir(directory);
  return names.filter((name) => !wanted.has(name)).map((name) => path.join(directory, name));
}

/** Removals that were cut, and containers with AutoRemove that have ended. */
function settleRemovals(context: PodContext): void {
  for (const container of context.table.all()) {
    const { status } = container.state;
    const isOver = status === 'exited' && container.autoRemove;
    if (!isOver && status !== 'removing' && status !== 'dead') continue;
    void container.pod.mutex
      .run(() => deleteContainer(context, container))
      .catch((cause: unknown) => {
        context.logger.warn({ container: container.id, err: cause }, 'a removal failed');
      });
  }
}

function startByPolicy(context: PodContext): void {
  for (const container of context.table.all()) {
    const { status } = container.state;
    const { name } = parseRestartPolicy(container.record.hostConfig);
    const isWanted =
      status === 'restarting' ||
      (status === 'exited' &&
        (name === 'always' || (name === 'unless-stopped' && !container.record.stoppedByHand)));
    if (!isWanted) continue;
    startContainer(context, container, context.closing).catch((cause: unknown) => {
      context.logger.warn({ container: container.id, err: cause }, 'a restart failed');
    });
  }
}
