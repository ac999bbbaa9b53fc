import { HyperError } from '../base/error.ts';
import type { ContainerLog, LogEntry, LogReadOptions } from '../log/container-log.ts';
import { nowUnixNanos } from './clock.ts';
import type { Container } from './container.ts';
import type { AttachOptions, StdioSession } from './container-service.ts';
import type { PodContext } from './context.ts';

/** Joins a client to a container's stdio, which may not run yet. */
export function attachContainer(
  context: PodContext,
  container: Container,
  options: AttachOptions,
): Promise<StdioSession> {
  assertAttachable(container);
  const session = container.stdio.attach(options);
  container.publish('attach');
  if (options.logs) {
    const { stdout, stderr } = options;
    const range = { tail: null, sinceUnixNanos: null, untilUnixNanos: nowUnixNanos() };
    const earlier = { follow: false, stdout, stderr, ...range };
    const replayed = session.replay(readLog(context, container, earlier, context.closing));
    if (!options.stream) void replayed.then(session.close.bind(session));
  } else if (!options.stream) session.close();
  return Promise.resolve(session);
}

function assertAttachable({ id, state }: Container): void {
  const refusals: Partial<Record<typeof state.status, string>> = {
    paused: `container ${id} is paused, unpause the container before attach`,
    restarting: `container ${id} is restarting, wait until the container is running`,
  };
  const refusal = refusals[state.status];
  if (refusal !== undefined) throw new HyperError('CONFLICT', refusal);
}

/** Reads a container's log; only a running one's can be followed. */
export async function* readLog(
  context: PodContext,
  container: Container,
  options: LogReadOptions,
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  if (container.log !== null) {
    yield* container.log.read(options, signal);
    return;
  }
  await using log = await openLog(context, container);
  yield* log.read({ ...options, follow: false }, signal);
}

function openLog(context: PodContext, { id, record }: Container): Promise<ContainerLog> {
  return context.openLog({
    driver: record.hostConfig.LogConfig?.Type ?? '',
    options: record.hostConfig.LogConfig?.Config ?? {},
    directory: context.paths.container(id),
    containerId: id,
  });
}
