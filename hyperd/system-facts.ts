import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { SystemFacts } from './api/dependencies.ts';
import { HyperError, isErrno, messageOf } from './base/error.ts';
import type { DaemonConfig } from './config-settings.ts';
import type { HypervisorDriver } from './hypervisor/driver.ts';

/** Collects what `version` and `info` tell about daemon and host. */
export async function readSystemFacts(
  config: DaemonConfig,
  driver: HypervisorDriver,
  warnings: readonly string[],
): Promise<SystemFacts> {
  return {
    daemonId: await daemonId(config.dataRoot),
    hostName: os.hostname(),
    dataRoot: config.dataRoot,
    hyperVersion: await hyperVersion(),
    kernelRelease: os.release(),
    operatingSystem: await operatingSystem(),
    machine: os.machine(),
    processors: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    hyperKernel: await releaseOfKernel(config.kernel),
    hypervisor: {
      name: driver.name,
      version: driver.version,
      hardwareAccelerated: driver.features.hardwareAccelerated,
    },
    mirrors: config.registryMirrors,
    insecureRegistries: config.insecureRegistries,
    warnings,
    debug: config.logLevel === 'debug' || config.logLevel === 'trace',
  };
}

/** The version of this program, from its package. */
export async function hyperVersion(): Promise<string> {
  const packageFile = new URL('../package.json', import.meta.url);
  const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };
  return version;
}

/** The release that a kernel image says it is, from its banner. */
export async function releaseOfKernel(file: string): Promise<string> {
  let image: Buffer;
  try {
    image = await readFile(file);
  } catch (cause) {
    throw new HyperError('UNAVAILABLE', `HyperKernel ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'npm run daemon builds it; --kernel names another one',
    });
  }
  const banner = 'Linux version ';
  for (let at = image.indexOf(banner); at >= 0; at = image.indexOf(banner, at + 1)) {
    const release = /^\d[^\s%]*/.exec(image.toString('latin1', at + banner.length, at + 128))?.[0];
    if (release !== undefined) {
      return release;
    }
  }
  throw new HyperError('UNAVAILABLE', `HyperKernel ${file}: not a Linux kernel (no banner in it)`);
}

async function daemonId(dataRoot: string): Promise<string> {
  const file = path.join(dataRoot, 'daemon-id');
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT')) {
      throw cause;
    }
  }
  const id = randomUUID();
  await writeFile(file, `${id}\n`);
  return id;
}

async function operatingSystem(): Promise<string> {
  try {
    const release = await readFile('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}
