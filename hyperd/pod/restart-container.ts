import type { Container } from './container.ts';
import type { StopOptions } from './container-service.ts';
import type { PodContext } from './context.ts';
import { assertStartable, startLocked } from './start-container.ts';
import { stopLocked } from './stop-container.ts';

/** Stops a container, if it runs, and starts it, holding its pod's mutex all the while. */
export function restartContainer(
  context: PodContext,
  container: Container,
  options: StopOptions,
): Promise<void> {
  return container.pod.mutex.run(async () => {
    container.isBeingRestarted = true;
    try {
      await stopLocked(context, container, options);
      assertStartable(container);
      await startLocked(context, container, { signal: context.closing, restartCount: 0 });
    } finally {
      container.isBeingRestarted = false;
    }
    container.publish('restart');
  });
}
