import { setTimeout as delay } from 'node:timers/promises';

import { HyperError, messageOf } from '../base/error.ts';
import type { Container } from './container.ts';
import type { StopOptions } from './container-service.ts';
import { isRunning, requireRun } from './container-state.ts';
import type { PodContext } from './context.ts';
import { cancelRestart } from './due-restart.ts';
import type { Run } from './run.ts';
import { parseSignal } from './spec/signals.ts';

const sigkill = 9;
const killedExitCode = 128 + sigkill;
const defaultStopSeconds = 10;

/** Stops a container, holding its pod's mutex. False when it does not run. */
export function stopContainer(
  context: PodContext,
  container: Container,
  options: StopOptions,
): Promise<boolean> {
  return container.pod.mutex.run(() => stopLocked(context, container, options));
}

/** The stop itself: signal, patience, SIGKILL, and at last the end of the VM. */
export async function stopLocked(
  context: PodContext,
  container: Container,
  options: StopOptions,
): Promise<boolean> {
  const { state } = container;
  if (state.status === 'restarting') {
    cancelRestart(container);
    container.publish('stop');
    return true;
  }
  if (!isRunning(state)) return false;
  const { run } = state;
  const { StopSignal: own = '', StopTimeout } = container.record.effectiveConfig;
  const number = parseSignal(options.signal ?? (own === '' ? 'TERM' : own));
  const seconds = options.timeoutSeconds ?? StopTimeout ?? defaultStopSeconds;
  container.update({ stoppedByHand: true });
  await sendSignal(context, container, { run, number, thaw: state.status === 'paused' });
  const patience = seconds < 0 ? null : seconds * 1000;
  if (!(await settlesWithin(run, patience))) await killRun(context, container);
  await run.settled;
  // So that its ports and disks are free when the answer comes.
  await container.pod.settled();
  container.publish('stop');
  return true;
}

/** Sends a signal; SIGKILL returns when the container has ended. Does not wait for other operations. */
export async function killContainer(
  context: PodContext,
  container: Container,
  signal: string,
): Promise<void> {
  const number = parseSignal(signal);
  // A start that is going on comes to its end first: there is nothing to signal before.
  if (container.pod.state.status === 'booting') {
    await container.pod.mutex.run(() => Promise.resolve());
  }
  const { state } = container;
  if (!isRunning(state)) {
    const message = `cannot kill container: ${container.name}: container ${container.id} is not running`;
    throw new HyperError('CONFLICT', message);
  }
  if (number === sigkill) {
    container.update({ stoppedByHand: true });
    await killRun(context, container);
    return;
  }
  const { StopSignal: own = '' } = container.record.effectiveConfig;
  if (number === parseSignal(own === '' ? 'TERM' : own)) container.update({ stoppedByHand: true });
  await sendSignal(context, container, { run: state.run, number, thaw: false });
}

/** Ends a running container at once and waits for its end; the VM goes when the guest does not obey. */
export async function killRun(context: PodContext, container: Container): Promise<void> {
  const { state } = container;
  if (!isRunning(state)) return;
  const { run } = state;
  // Nobody who stopped reading may hold up the end.
  container.stdio.relax();
  const thaw = state.status === 'paused';
  await sendSignal(context, container, { run, number: sigkill, thaw });
  if (await settlesWithin(run, context.deadlines.killMs)) return;
  context.logger.warn({ container: container.id }, 'the guest does not obey: its VM is ended');
  run.forcedExitCode = killedExitCode;
  await run.machine.vm.stop({ graceMs: 0 });
  await run.settled;
}

/** Freezes all processes of a container. */
export function pauseContainer(context: PodContext, container: Container): Promise<void> {
  return container.pod.mutex.run(async () => {
    const run = requireRun(container.id, container.state);
    if (container.state.status === 'paused') {
      throw new HyperError('CONFLICT', `Container ${container.id} is already paused`);
    }
    await requestFreeze(context, container, { run, method: 'pause' });
    moveIfRunning(container, 'paused');
    container.publish('pause');
  });
}

/** Thaws a paused container. */
export function resumeContainer(context: PodContext, container: Container): Promise<void> {
  return container.pod.mutex.run(async () => {
    if (container.state.status !== 'paused') {
      throw new HyperError('CONFLICT', `Container ${container.id} is not paused`);
    }
    await requestFreeze(context, container, { run: container.state.run, method: 'resume' });
    moveIfRunning(container, 'running');
    container.publish('unpause');
  });
}

/** The container may have ended while the guest answered. */
function moveIfRunning(container: Container, status: 'running' | 'paused'): void {
  const { state } = container;
  if (isRunning(state) && state.status !== status) container.move({ ...state, status });
}

async function requestFreeze(
  context: PodContext,
  container: Container,
  { run, method }: { readonly run: Run; readonly method: 'pause' | 'resume' },
): Promise<void> {
  const limit = AbortSignal.timeout(context.deadlines.requestMs);
  await run.machine.agent.request(method, { containerId: container.id }, limit);
}

interface SignalRequest {
  readonly run: Run;
  readonly number: number;
  /** A frozen process gets a signal only when it goes on. */
  readonly thaw: boolean;
}

async function sendSignal(
  context: PodContext,
  container: Container,
  { run, number, thaw }: SignalRequest,
): Promise<void> {
  const containerId = container.id;
  const limit = AbortSignal.timeout(context.deadlines.requestMs);
  try {
    const params = { containerId, execId: null, signal: number, all: number === sigkill };
    await run.machine.agent.request('signal', params, limit);
    if (thaw) await requestFreeze(context, container, { run, method: 'resume' });
    if (thaw) moveIfRunning(container, 'running');
  } catch (cause) {
    // It has ended by itself, or its agent does not answer: the caller's patience decides.
    context.logger.warn(
      { container: containerId, signal: number },
      `a signal could not be sent: ${messageOf(cause)}`,
    );
    return;
  }
  container.publish('kill', { signal: String(number) });
}

/** null: however long it takes. */
async function settlesWithin(run: Run, milliseconds: number | null): Promise<boolean> {
  if (milliseconds === null) {
    await run.settled;
    return true;
  }
  const tooLate = new AbortController();
  try {
    return await Promise.race([
      run.settled.then(() => true),
      delay(milliseconds, false, { signal: tooLate.signal }),
    ]);
  } finally {
    tooLate.abort();
  }
}
