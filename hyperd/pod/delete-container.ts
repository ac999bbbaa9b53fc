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
    await removeFiles(context, container);
  } catch (cause) {
    container.move({ status: 'dead', exit: { ...exit, error: messageOf(cause) } });
    throw new HyperError(
      'INTERNAL',
      `cannot remove container "/${container.name}": ${messageOf(cause)}`,
      { cause },
    );
  }
  context.store.removeContainer(container.id);
  withdrawContainer(context, container);
}

/**
 * Removes a container that has ended by itself: for its user it is gone at once, its VM and files go
 * afterwards. What is left of it when the daemon is killed meanwhile, the next one removes.
 */
export function deleteEndedContainer(context: PodContext, container: Container): Promise<void> {
  withdrawContainer(context, container);
  const leaving = container.pod.mutex.run(async () => {
    await container.pod.stop({ graceful: false });
    await removeFiles(context, container);
    context.store.removeContainer(container.id);
  });
  const settled = leaving.catch(() => undefined);
  context.leaving.add(settled);
  void settled.then(() => context.leaving.delete(settled));
  return leaving;
}

/** Nobody finds the container any more, and those who waited for its removal are told. */
function withdrawContainer(context: PodContext, container: Container): void {
  const { exitCode } = container.lastExit;
  context.execs.removeOf(container.id);
  context.images.releaseLease(container.id);
  context.table.remove(container.id);
  container.publish('destroy');
  // Who waits for the removal is told of a failed start by the start itself, as with Docker.
  container.waits.onRemoved({ exitCode, error: null });
  container.stdio.end();
}

async function removeFiles(context: PodContext, { id }: Container): Promise<void> {
  await rm(context.paths.container(id), { recursive: true, force: true });
}
