import { setTimeout as delay } from 'node:timers/promises';

import { isErrno } from '../base/error.ts';
import type { Container } from './container.ts';
import type { ContainerExit } from './container-state.ts';
import type { PodContext } from './context.ts';
import { parseRestartPolicy } from './spec/restart-policy.ts';

const firstDelayMs = 100;
const longestDelayMs = 60_000;
/** A life of this length is a success: the next delay is the first one again. */
const steadyMs = 10_000;

/** Whether the container's policy starts it again after such an end. */
export function shouldRestart(container: Container, exit: ContainerExit): boolean {
  const { hostConfig, stoppedByHand, restartCount } = container.record;
  const policy = parseRestartPolicy(hostConfig);
  if (stoppedByHand) return false;
  switch (policy.name) {
    case 'no':
      return false;
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure':
      return (
        exit.exitCode !== 0 && (policy.maximumRetries === 0 || restartCount < policy.maximumRetries)
      );
  }
}

/** Has the container started again, by `start`, after a while that grows with each quick end. */
export function scheduleRestart(
  context: PodContext,
  container: Container,
  start: () => Promise<void>,
): void {
  if (container.state.status !== 'restarting') return;
  const cancel = new AbortController();
  container.restart = cancel;
  const signal = AbortSignal.any([cancel.signal, context.closing]);
  restart(container, start, signal).catch((cause: unknown) => {
    // The container keeps the reason in its state.
    context.logger.warn({ container: container.id, err: cause }, 'a restart failed');
  });
}

/** Cancels a restart that is due; the container stays as it ended. */
export function cancelRestart(container: Container): void {
  container.restart?.abort();
  container.restart = null;
  if (container.state.status === 'restarting') {
    container.move({ status: 'exited', exit: container.state.exit }, { stoppedByHand: true });
    const { exitCode } = container.lastExit;
    container.waits.onExit({ exitCode, error: null }, true);
  }
}

async function restart(
  container: Container,
  start: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await delay(nextDelay(container), null, { signal, ref: false });
  } catch (thrown) {
    if (isErrno(thrown, 'ABORT_ERR')) return;
    throw thrown;
  }
  await container.pod.mutex.run(async () => {
    if (container.state.status === 'restarting' && !signal.aborted) await start();
  });
}

function nextDelay(container: Container): number {
  const { startedUnixMs, finishedUnixMs } = container.lastExit;
  const livedMs = (finishedUnixMs ?? 0) - (startedUnixMs ?? 0);
  if (livedMs >= steadyMs) return firstDelayMs;
  return Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(container.record.restartCount, 16));
}
