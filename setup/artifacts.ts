import { availableParallelism } from 'node:os';

import { buildInit } from '../hyperstart/build.ts';
import { buildKernel } from '../kernel-config/build.ts';
import { buildVmFork } from '../vm-fork/build.ts';
import { ensureMkfsErofs } from './erofs-utils.ts';
import { cacheDirectory } from './paths.ts';
import { step } from './progress.ts';

/** What hyperd needs besides Node and QEMU; all built once and kept in the cache. */
export interface Artifacts {
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly mkfsErofs: string;
  /** '' where there is none for this processor. */
  readonly vmFork: string;
}

/** Builds what is missing, with progress shown; instant when all is cached. */
export async function ensureArtifacts(): Promise<Artifacts> {
  const onProgress = step;
  const mkfsErofs = await ensureMkfsErofs({ cacheDirectory, onProgress });
  const init = await buildInit({ cacheDirectory, onProgress });
  const vmFork = await buildVmFork({ cacheDirectory, onProgress });
  const kernel = await buildKernel({ cacheDirectory, jobs: availableParallelism(), onProgress });
  return { kernelPath: kernel.vmlinuxPath, initrdPath: init.initrdPath, mkfsErofs, vmFork };
}

/** The daemon's flags that name the artifacts. */
export function artifactFlags(artifacts: Artifacts): readonly string[] {
  return [
    ...['--kernel', artifacts.kernelPath],
    ...['--initrd', artifacts.initrdPath],
    ...['--mkfs-erofs', artifacts.mkfsErofs],
    ...['--vm-fork', artifacts.vmFork],
  ];
}
