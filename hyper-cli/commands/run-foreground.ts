import type { Socket } from 'node:net';

import type { RunEvent, StartTimeline } from '../../hyperd/api/schema/hyper.ts';
import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { copyFrames } from '../output/terminal.ts';
import { formatTimeline } from '../output/timeline.ts';
import { requestRun, type RunningContainer } from '../run-request.ts';
import { type RunOptions, runRequest } from './run-options.ts';
import { notStarted, orNotStarted, printWarnings, toStartError } from './run-outcome.ts';
import { sendInput } from './session.ts';
import { withImage } from './with-image.ts';

/** `hyper run` with our stdio as the container's; resolves to its exit status, to 0 upon a detach. */
export async function runInForeground(
  api: ApiClient,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<number> {
  const answer = await orNotStarted(async () => {
    const request = runRequest(image, command, options);
    return withImage(api, image, options, async () => {
      const answered = await requestRun(api.host, request);
      if ('error' in answered && !answered.wasCreated) throw answered.error;
      return answered;
    });
  });
  if ('error' in answer) throw toStartError(answer.error);
  return follow(api, answer, options);
}

async function follow(
  api: ApiClient,
  { id, socket }: RunningContainer,
  options: RunOptions,
): Promise<number> {
  const tty = options.tty === true;
  const ended = copyOutput(socket);
  ended.catch(() => undefined);
  // Before it gets input: with --rm its end takes all that is known of it.
  const timeline = options.timeline === true ? await readTimeline(api, id) : null;
  if (!tty) forwardSignals(api, id);
  const resizePath = `/containers/${id}/resize`;
  const input = { stdin: options.interactive === true, tty, resizePath };
  using _ = sendInput(api, socket, input, () => {
    // A terminal's input has no end: closing our side of it would be a detach.
    if (!tty) socket.end();
  });
  const status = await ended;
  if (options.timeline === true) printTimeline(timeline);
  return status;
}

async function copyOutput(socket: Socket): Promise<number> {
  let status = null as number | null;
  await copyFrames(socket, false, (text) => {
    const event = JSON.parse(text) as RunEvent;
    if ('Warnings' in event) printWarnings(event.Warnings);
    else status = 'Detached' in event ? 0 : event.StatusCode;
  });
  if (status !== null) return status;
  throw new CliError('the connection to hyperd was lost before the container ended', {
    hint: 'hyper ps -a shows what became of it',
    exitCode: notStarted,
  });
}

/** null when it cannot be had any more. */
export async function readTimeline(api: ApiClient, id: string): Promise<StartTimeline | null> {
  try {
    return await api.json<StartTimeline>('GET', `/hyper/containers/${id}/timeline`);
  } catch {
    return null;
  }
}

/** To stderr: stdout is the container's. */
export function printTimeline(timeline: StartTimeline | null): void {
  const gone = 'hyper: the container was removed before its timeline was read\n';
  const bars = process.stderr.isTTY;
  process.stderr.write(timeline === null ? gone : formatTimeline(timeline, { bars }));
}

/** Ctrl-C is for the container: it decides what to do with it. */
function forwardSignals(api: ApiClient, id: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
    process.on(signal, () => {
      api.open('POST', `/containers/${id}/kill`, { query: { signal } }).catch(() => undefined);
    });
  }
}
