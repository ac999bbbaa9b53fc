import { once } from 'node:events';
import { open, readFile, writeFile } from 'node:fs/promises';

import { spawnProcess } from '../../base/subprocess.ts';
import { machineArguments } from './command-line.ts';

export interface KvmProbeConfig {
  readonly binary: string;
  readonly version: string;
  readonly kernelPath: string;
  readonly qboot: boolean;
  /** Remembers the outcome until the host or QEMU changes. */
  readonly stateFile: string;
}

const deadlineMs = 5000;

/**
 * Tells whether KVM really runs our kernel. A device node is no proof: some clouds offer a /dev/kvm
 * that opens and then fails at the first guest instruction it cannot handle. The kernel is booted
 * without an init: a working KVM reaches the panic that ends the VM in a fraction of a second.
 */
export async function isKvmWorking(config: KvmProbeConfig): Promise<boolean> {
  if (!(await canOpen('/dev/kvm'))) return false;
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const key = `${bootId} ${config.version} ${config.kernelPath}`;
  const remembered = await readState(config.stateFile);
  if (remembered?.key === key) return remembered.isWorking;
  const isWorking = await bootsToPanic(config);
  await writeFile(config.stateFile, JSON.stringify({ key, isWorking }));
  return isWorking;
}

async function bootsToPanic(config: KvmProbeConfig): Promise<boolean> {
  const child = spawnProcess(
    config.binary,
    [
      ...machineArguments({ kvm: true, qboot: config.qboot, vhostNet: false }),
      ...['-m', '256M', '-kernel', config.kernelPath, '-append', 'quiet panic=-1 reboot=t'],
    ],
    { stdio: 'ignore' },
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code === 0;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

async function readState(file: string): Promise<{ key: string; isWorking: boolean } | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isState(value) ? value : null;
  } catch {
    return null;
  }
}

function isState(value: unknown): value is { key: string; isWorking: boolean } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'key' in value &&
    'isWorking' in value &&
    typeof value.key === 'string' &&
    typeof value.isWorking === 'boolean'
  );
}

/** True when the device node exists and lets itself be opened for reading and writing. */
export async function canOpen(device: string): Promise<boolean> {
  try {
    await using _ = await open(device, 'r+');
    return true;
  } catch {
    return false;
  }
}
