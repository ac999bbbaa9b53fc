import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';

import type { HyperVersion } from '../../hyperd/api/schema/hyper.ts';
import type { ApiClient } from '../api-client.ts';
import type { Finding } from '../output/finding.ts';

/** What is known of KVM on this host; a device that opens is no proof that it runs a kernel. */
export interface KvmEvidence {
  /** Whether hyperd uses it; null when none answers here. */
  readonly daemonUses: boolean | null;
  /** What hyperd found when it booted its kernel, since this host's boot; null when it has not tried. */
  readonly isProven: boolean | null;
  readonly canOpen: boolean;
}

const advice = {
  reason: 'without it QEMU emulates the CPU: everything works, about ten times slower',
  remedy: 'load the module (modprobe kvm_intel or kvm_amd), or allow nested virtualisation',
};

/** Judges by the strongest evidence: a running daemon, then a boot that was tried, then the device. */
export function judgeKvm({ daemonUses, isProven, canOpen }: KvmEvidence): Finding {
  const source = daemonUses === null ? 'hyperd has booted a kernel to see' : 'hyperd says so';
  const works = daemonUses ?? isProven;
  const note = { name: 'kvm', state: 'note', ...advice } as const;
  if (works === true) return { ...note, state: 'ok', found: `works (${source})` };
  if (!canOpen) return { ...note, found: '/dev/kvm is missing or cannot be opened' };
  if (works === false) return { ...note, found: `/dev/kvm opens but does not work (${source})` };
  return {
    ...note,
    found: '/dev/kvm opens, not proven yet',
    reason:
      'some hosts have one that fails in the middle of a boot; hyperd tries it when it starts',
    remedy: 'npm start',
  };
}

/** Gathers what is known, from the daemon and from the kvm.json that it leaves in its data root. */
export async function findKvmEvidence(api: ApiClient, dataRoot: string): Promise<KvmEvidence> {
  const [daemonUses, isProven, canOpen] = await Promise.all([
    readDaemon(api),
    readKvmState(path.join(dataRoot, 'kvm.json')),
    access('/dev/kvm', constants.R_OK | constants.W_OK).then(
      () => true,
      () => false,
    ),
  ]);
  return { daemonUses, isProven, canOpen };
}

async function readDaemon(api: ApiClient): Promise<boolean | null> {
  // A daemon elsewhere knows nothing of this host.
  if (!api.host.startsWith('unix://')) return null;
  try {
    return (await api.json<HyperVersion>('GET', '/hyper/version')).HardwareAccelerated;
  } catch {
    return null;
  }
}

/** Reads `{"key":"<boot id> …","isWorking":…}`; what was found before this host's boot does not count. */
export async function readKvmState(file: string): Promise<boolean | null> {
  try {
    const state = JSON.parse(await readFile(file, 'utf8')) as { key: string; isWorking: boolean };
    const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    return state.key.startsWith(`${bootId} `) ? state.isWorking : null;
  } catch {
    return null;
  }
}
