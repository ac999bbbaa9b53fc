import type { StartResult, StdioStreams } from '../../hyperstart/protocol/message.ts';
import { HyperError } from '../base/error.ts';
import { acquireVm } from './acquire-vm.ts';
import { readHostResolvConf, toStartParams } from './agent-start.ts';
import type { Container } from './container.ts';
import { isRunning } from './container-state.ts';
import type { PodContext } from './context.ts';
import { deleteContainer } from './delete-container.ts';
import { superviseRun } from './end-container.ts';
import { inPhase } from './phase.ts';
import { PhaseClock, type Timeline } from './phase-clock.ts';
import type { PodMachine } from './pod-machine.ts';
import { Run } from './run.ts';
import { type ContainerSpec, toContainerSpec } from './spec/container-spec.ts';
import { toStartFailure } from './start-failure.ts';

/** Starts a container, holding its pod's mutex. False when it runs already. */
export async function startContainer(
  context: PodContext,
  container: Container,
  signal: AbortSignal,
): Promise<boolean> {
  const abort = new AbortController();
  container.starts.add(abort);
  try {
    return await container.pod.mutex.run(async () => {
      if (container.state.status === 'running') return false;
      assertStartable(container);
      container.restart?.abort();
      const cut = AbortSignal.any([signal, abort.signal]);
      await startLocked(context, container, { signal: cut, restartCount: 0 });
      return true;
    });
  } finally {
    container.starts.delete(abort);
  }
}

/** CONFLICT for a container that is paused or on its way out. */
export function assertStartable({ state }: Container): void {
  if (state.status === 'paused') {
    throw new HyperError('CONFLICT', 'cannot start a paused container, try unpause instead');
  }
  if (state.status === 'removing' || state.status === 'dead') {
    throw new HyperError('CONFLICT', 'container is marked for removal and cannot be started');
  }
}

/** Starts a container once more by its policy; the caller holds the pod's mutex. */
export function restarter(context: PodContext, container: Container): () => Promise<void> {
  return () => {
    const restartCount = container.record.restartCount + 1;
    return startLocked(context, container, { signal: context.closing, restartCount });
  };
}

export interface StartOptions {
  readonly signal: AbortSignal;
  /** How often the policy has restarted it by now. */
  readonly restartCount: number;
}

/** The start itself; the caller holds the pod's mutex. A failure is recorded and leaves nothing behind. */
export async function startLocked(
  context: PodContext,
  container: Container,
  { signal, restartCount }: StartOptions,
): Promise<void> {
  const { record, pod } = container;
  using _ = context.warm?.starting();
  const cut = AbortSignal.any([signal, context.closing]);
  try {
    cut.throwIfAborted();
    const spec = toContainerSpec(record.effectiveConfig, record.hostConfig, context.capacity);
    const clock = new PhaseClock();
    const request = {
      ...{ clock, podId: pod.id, containerId: container.id, containerName: container.name, spec },
      layers: record.layers,
    };
    const machine = await pod.boot(() => acquireVm(context, request, cut));
    try {
      const run = await startProcess(context, container, { machine, spec, clock, signal: cut });
      const lastStart = { origin: machine.origin, timeline: clock.timeline };
      const changes = { stoppedByHand: false, restartCount, lastStart };
      container.move({ status: 'running', run, startedUnixMs: Date.now() }, changes);
      container.publish('start');
      superviseRun(context, container, { run, restart: restarter(context, container) });
    } catch (thrown) {
      await pod.stop({ graceful: false });
      throw thrown;
    }
  } catch (thrown) {
    throw await recordFailure(context, container, thrown);
  }
}

async function recordFailure(
  context: PodContext,
  container: Container,
  thrown: unknown,
): Promise<HyperError> {
  const { exitCode, error } = toStartFailure(thrown);
  const { state } = container;
  if (context.closing.aborted || isRunning(state)) return error;
  const exit = { ...container.lastExit, exitCode, error: error.message };
  const status = state.status === 'created' ? 'created' : 'exited';
  container.move({ status, exit });
  if (container.autoRemove) await deleteContainer(context, container);
  return error;
}

interface ProcessStart {
  readonly machine: PodMachine;
  readonly spec: ContainerSpec;
  readonly clock: PhaseClock;
  readonly signal: AbortSignal;
}

async function startProcess(
  context: PodContext,
  container: Container,
  { machine, spec, clock, signal }: ProcessStart,
): Promise<Run> {
  await using undo = new AsyncDisposableStack();
  const directory = context.paths.container(container.id);
  const log = await context.openLog({ ...spec.log, directory, containerId: container.id });
  undo.use(log);
  const streams = allocateStreams(machine, spec);
  const ref = { containerId: container.id, execId: null };
  const run = new Run(machine, streams, machine.exits.expect(ref));
  const started = await requestStart(context, container, { run, spec, signal });
  clock.end('request', guestPhases(started.timeline));
  context.store.savePod({
    ...{ id: container.pod.id, vm: machine.vm.record, size: machine.size, streams },
    origin: machine.origin,
    endpoint: machine.endpoint?.record ?? null,
    kernelRelease: machine.kernelRelease,
  });
  undo.move();
  container.log = log;
  return run;
}

/** What the guest has timed of its start request. */
function guestPhases(timeline: Timeline): Timeline {
  const names = ['network', 'mounts', 'process'];
  return Object.fromEntries(names.map((name) => [name, timeline[name] ?? 0]));
}

function allocateStreams({ agent }: PodMachine, spec: ContainerSpec): StdioStreams {
  return {
    stdin: spec.openStdin ? agent.allocateStreamId() : null,
    stdout: agent.allocateStreamId(),
    // A terminal has one output.
    stderr: spec.tty ? null : agent.allocateStreamId(),
  };
}

async function requestStart(
  context: PodContext,
  container: Container,
  { run, spec, signal }: { run: Run; spec: ContainerSpec; signal: AbortSignal },
): Promise<StartResult> {
  const { machine, streams } = run;
  const { rootfs, deviceMacAddress } = machine;
  if (rootfs === null) throw new Error('a VM that was taken over starts no container');
  const [rows = 0, columns = 0] = container.record.hostConfig.ConsoleSize ?? [];
  const params = toStartParams({
    containerId: container.id,
    spec,
    ...{ rootfs, deviceMacAddress },
    endpoint: machine.endpoint?.record ?? null,
    streams,
    consoleSize: spec.tty && rows > 0 && columns > 0 ? { rows, columns } : null,
    hostResolvConf: await readHostResolvConf(),
    dns: context.dns,
  });
  const limit = AbortSignal.timeout(context.deadlines.startMs);
  return inPhase(
    'starting the container in its VM',
    () => machine.agent.request('start', params, AbortSignal.any([signal, limit])),
    machine.vm,
  );
}
