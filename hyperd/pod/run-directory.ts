import { mkdir, rm } from 'node:fs/promises';

import type { PodContext } from './context.ts';

/** Makes a VM's run directory afresh. */
export async function makeRunDirectory(
  context: PodContext,
  vmId: string,
  undo: AsyncDisposableStack,
): Promise<string> {
  const directory = context.paths.run(vmId);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
