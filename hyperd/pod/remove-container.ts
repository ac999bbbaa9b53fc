import { HyperError } from '../base/error.ts';
import type { Container } from './container.ts';
import { isRunning } from './container-state.ts';
import type { PodContext } from './context.ts';
import { deleteContainer } from './delete-container.ts';
import { cancelRestart } from './due-restart.ts';
import { killRun } from './stop-container.ts';

/** Removes a container with its files; with `force` also a running one. */
export async function removeContainer(
  context: PodContext,
  container: Container,
  { force }: { readonly force: boolean },
): Promise<void> {
  if (container.state.status === 'removing') {
    const message = `removal of container ${container.name} is already in progress`;
    throw new HyperError('CONFLICT', message);
  }
  if (force) {
    container.abortStarts();
    // Not to wait behind a stop that gives the container its time.
    await killRun(context, container);
  }
  await container.pod.mutex.run(async () => {
    // A container with AutoRemove is on its way by now.
    if (!context.table.all().includes(container) || container.state.status === 'removing') return;
    if (!force) assertStopped(container);
    await killRun(context, container);
    cancelRestart(container);
    await deleteContainer(context, container);
  });
  await container.aftermath;
}

function assertStopped(container: Container): void {
  const { status } = container.state;
  const refusal =
    status === 'paused'
      ? 'container is paused and must be unpaused first'
      : `container is ${status}: stop the container before removing or force remove`;
  if (isRunning(container.state) || status === 'restarting') {
    throw new HyperError('CONFLICT', `cannot remove container "/${container.name}": ${refusal}`);
  }
}
