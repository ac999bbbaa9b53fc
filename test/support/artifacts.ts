import { buildInit } from '../../hyperstart/build.ts';
import { buildKernel } from '../../kernel-config/build.ts';
import { cacheDirectory } from '../../setup/paths.ts';
import { buildVmFork } from '../../vm-fork/build.ts';

/* What `npm test` built; for a suite that runs by itself what the sources make, out of the cache if it is there. */

const quiet = { cacheDirectory, onProgress: () => undefined };

export async function testKernel(): Promise<string> {
  const given = process.env['HYPER_TEST_KERNEL'];
  return given ?? (await buildKernel({ ...quiet, jobs: 2 })).vmlinuxPath;
}

export async function testInitrd(): Promise<string> {
  return process.env['HYPER_TEST_INITRD'] ?? (await buildInit(quiet)).initrdPath;
}

/** The library that forks VMs. */
export async function testVmFork(): Promise<string> {
  return process.env['HYPER_TEST_VM_FORK'] ?? (await buildVmFork(quiet));
}
