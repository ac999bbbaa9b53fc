import { rm } from 'node:fs/promises';

import { HyperError, messageOf } from '../base/error.ts';
import type { Container } from './container.ts';
import { isRunning } from './container-state.ts';
import type { PodContext } from './context.ts';

/** The removal itself; the caller holds the pod's mutex and the container does not run. */
export async function deleteContainer(context: PodContext, container: Container): Promise<void> {
  if (isRunning(container.state)) throw new Error('a running container cannot be removed');
  const exit = container.lastExit;
  if (container.state.status !== 'removing') container.move({ status: 'removing', exit });
  await container.pod.settled();
  try {
    await rm(context.paths.container(container.id), { recursive: true, force: true });
  } catch (cause) {
    container.move({ status: 'dead', exit: { ...exit, error: messageOf(cause) } });
    throw new HyperError(
      'INTERNAL',
      `cannot remove container "/${container.name}": ${messageOf(cause)}`,
      { cause },
    );
  }
  context.execs.removeOf(container.id);
  context.images.releaseLease(container.id);
  context.store.removeContainer(container.id);
  context.table.remove(container.id);
  container.publish('destroy');
  // Who waits for the removal is told of a failed start by the start itself, as with Docker.
  container.waits.onRemoved({ exitCode: exit.exitCode, error: null });
  container.stdio.end();
}
