import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '../base/error.ts';
import type { Container } from './container.ts';
import { type ContainerExit, isRunning } from './container-state.ts';
import type { PodContext } from './context.ts';
import { consoleNote } from './phase.ts';
import { deleteEndedContainer } from './delete-container.ts';
import { scheduleRestart, shouldRestart } from './due-restart.ts';
import type { Run, RunEnd } from './run.ts';

/** Exit code of a container whose VM was lost. */
const lostExitCode = 255;

export interface Supervision {
  readonly run: Run;
  /** Starts the container once more; called when its policy says so, with the pod's mutex held. */
  readonly restart: () => Promise<void>;
}

/** Joins a run's stdio and, when it ends, brings the container to its end. */
export function superviseRun(
  context: PodContext,
  container: Container,
  supervision: Supervision,
): void {
  const { run } = supervision;
  const { agent } = run.machine;
  const { stdin, stdout, stderr } = run.streams;
  const drained = container.stdio.run(
    {
      stdin: stdin === null ? null : agent.openWritable(stdin),
      stdout: stdout === null ? null : agent.openReadable(stdout),
      stderr: stderr === null ? null : agent.openReadable(stderr),
    },
    (chunk, unixNanos) => recordOutput(context, container, { ...chunk, unixNanos }),
  );
  void finishRun(context, container, { ...supervision, drained }).catch((cause: unknown) => {
    context.logger.error(
      { container: container.id, err: cause },
      `ending container ${container.name}: ${messageOf(cause)}`,
    );
  });
}

/** Output that cannot be logged (the disk is full) is not to stop the process: Docker goes on, too. */
async function recordOutput(
  context: PodContext,
  container: Container,
  entry: { stream: 'stdout' | 'stderr'; bytes: Uint8Array; unixNanos: bigint },
): Promise<void> {
  try {
    await container.log?.write(entry.stream, entry.bytes, entry.unixNanos);
  } catch (cause) {
    context.logger.error({ container: container.id, err: cause }, 'output could not be logged');
  }
}

async function finishRun(
  context: PodContext,
  container: Container,
  { run, restart, drained }: Supervision & { readonly drained: Promise<void> },
): Promise<void> {
  const end = await run.ended;
  if (context.closing.aborted) return;
  container.stdio.relax();
  await Promise.race([drained, delay(context.deadlines.drainMs, null, { ref: false })]);
  await closeLog(context, container);
  const exit = toExit(container, run, end);
  const removes = container.autoRemove && !container.isBeingRestarted;
  const restarts = shouldRestart(container, exit);
  settle(container, exit, { restarts, removes });
  context.execs.containerEnded(container.id);
  container.aftermath = clearUp(context, container, {
    graceful: end.kind === 'exited' && !removes,
    restart: restarts ? restart : null,
    removes,
  });
  run.settle();
  await container.aftermath;
}

async function closeLog(context: PodContext, container: Container): Promise<void> {
  const { log } = container;
  container.log = null;
  try {
    await log?.[Symbol.asyncDispose]();
  } catch (cause) {
    context.logger.error({ container: container.id, err: cause }, 'the log could not be closed');
  }
}

function toExit(container: Container, run: Run, end: RunEnd): ContainerExit {
  const startedUnixMs = isRunning(container.state) ? container.state.startedUnixMs : null;
  const times = { startedUnixMs, finishedUnixMs: Date.now() };
  const oomKilled = run.machine.exits.hadOom(container.id);
  if (end.kind === 'exited') {
    const { exitCode, oomKilled: wasKilled } = end.exit;
    return { exitCode, oomKilled: oomKilled || wasKilled, error: '', ...times };
  }
  if (run.forcedExitCode !== null) {
    return { exitCode: run.forcedExitCode, oomKilled, error: '', ...times };
  }
  const error = `the VM of the container was lost: ${end.reason}${consoleNote(run.machine.vm)}`;
  return { exitCode: lostExitCode, oomKilled, error, ...times };
}

interface Sequel {
  readonly restarts: boolean;
  readonly removes: boolean;
}

function settle(container: Container, exit: ContainerExit, { restarts, removes }: Sequel): void {
  const { startedUnixMs, finishedUnixMs } = exit;
  const seconds = Math.round(((finishedUnixMs ?? 0) - (startedUnixMs ?? 0)) / 1000);
  container.move({ status: restarts ? 'restarting' : 'exited', exit });
  if (exit.oomKilled) container.publish('oom');
  const execDuration = String(seconds);
  container.publish('die', { exitCode: String(exit.exitCode), execDuration });
  if (removes) container.move({ status: 'removing', exit });
  const error = exit.error === '' ? null : exit.error;
  container.waits.onExit({ exitCode: exit.exitCode, error }, !restarts);
  container.stdio.end();
}

/** What follows an end: the VM goes; the container is removed, or started again, or stays. */
async function clearUp(
  context: PodContext,
  container: Container,
  options: {
    readonly graceful: boolean;
    readonly restart: (() => Promise<void>) | null;
    readonly removes: boolean;
  },
): Promise<void> {
  if (options.removes) {
    await deleteEndedContainer(context, container);
    return;
  }
  await container.pod.stop({ graceful: options.graceful });
  if (options.restart !== null) scheduleRestart(context, container, options.restart);
}
