import { constants } from 'node:fs';
import { access, readdir, statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

import { Command } from 'commander';

import type { ApiClient } from '../api-client.ts';
import { run } from '../../hyperd/base/subprocess.ts';

/** One thing that was looked at. */
interface Finding {
  readonly name: string;
  readonly state: 'ok' | 'missing' | 'note';
  readonly found: string;
  /** Why it matters. */
  readonly reason: string;
  /** The command that mends it. */
  readonly remedy: string;
}

const oldestNode = 24;
const leastFreeBytes = 5 * 1024 ** 3;
const marks = { ok: '✓', missing: '✗', note: '·' } as const;
const cache = path.join(homedir(), '.cache/hyper');

/** `hyper doctor`: what this host can do and cannot. */
export function doctorCommand(api: () => ApiClient): Command {
  return new Command('doctor')
    .description('check what this host can do and cannot')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  hyper doctor')
    .action(async (options: { json?: boolean }) => {
      const findings = await examine(api());
      for (const finding of findings) {
        process.stdout.write(
          options.json === true ? `${JSON.stringify(finding)}\n` : describe(finding),
        );
      }
      if (findings.some(({ state }) => state === 'missing')) process.exitCode = 1;
    });
}

function describe({ name, state, found, reason, remedy }: Finding): string {
  const line = `${marks[state]} ${name.padEnd(14)} ${found}\n`;
  return state === 'ok'
    ? line
    : `${line}    ${reason}\n${remedy === '' ? '' : `    → ${remedy}\n`}`;
}

async function examine(api: ApiClient): Promise<readonly Finding[]> {
  const major = Number(process.versions.node.split('.')[0]);
  return Promise.all([
    Promise.resolve(
      judge('node', major >= oldestNode, `version ${process.versions.node}`, {
        reason: 'hyperd runs TypeScript directly, which needs Node 24',
        remedy: 'npm start (it brings its own Node)',
      }),
    ),
    Promise.resolve(
      judge('root', process.getuid?.() === 0, process.getuid?.() === 0 ? 'yes' : 'no', {
        reason: 'TAP devices, the bridge and firewall rules need it',
        remedy: 'run hyperd as root',
      }),
    ),
    readable('kvm', '/dev/kvm', 'note', {
      reason: 'without it QEMU emulates the CPU: everything works, about ten times slower',
      remedy: 'load the module (modprobe kvm_intel or kvm_amd), or allow nested virtualisation',
    }),
    program(
      'qemu',
      'qemu-system-x86_64',
      ['--version'],
      'it is the hypervisor',
      'apt-get install qemu-system-x86',
    ),
    readable('tun', '/dev/net/tun', 'missing', {
      reason: 'VMs reach the network through TAP devices',
      remedy: 'modprobe tun',
    }),
    program('ip', 'ip', ['-V'], 'it makes the bridge and TAP devices', 'apt-get install iproute2'),
    program(
      'nft',
      'nft',
      ['--version'],
      'NAT, published ports and anti-spoofing are nftables rules',
      'apt-get install nftables',
    ),
    program(
      'mkfs.ext4',
      'mkfs.ext4',
      ['-V'],
      "containers' writable disks are ext4",
      'apt-get install e2fsprogs',
    ),
    erofs(),
    artifact('kernel', 'vmlinux', 'HyperKernel boots every VM'),
    artifact('hyperstart', 'initrd', 'it is the init of every VM'),
    diskSpace(),
    daemon(api),
  ]);
}

type Advice = Pick<Finding, 'reason' | 'remedy'>;

function judge(name: string, isGood: boolean, found: string, advice: Advice): Finding {
  return { name, state: isGood ? 'ok' : 'missing', found, ...advice };
}

async function readable(
  name: string,
  device: string,
  otherwise: 'note' | 'missing',
  advice: Advice,
): Promise<Finding> {
  try {
    await access(device, constants.R_OK | constants.W_OK);
    return { name, state: 'ok', found: device, ...advice };
  } catch {
    return { name, state: otherwise, found: `no ${device}`, ...advice };
  }
}

async function program(
  name: string,
  command: string,
  args: readonly string[],
  ...[reason, remedy]: [string, string]
): Promise<Finding> {
  try {
    const { stdout, stderr } = await run(command, args);
    const found = (stdout || stderr).split('\n')[0] ?? '';
    return { name, state: 'ok', found, reason, remedy };
  } catch {
    return { name, state: 'missing', found: `${command} is not installed`, reason, remedy };
  }
}

async function erofs(): Promise<Finding> {
  const advice = {
    reason: 'layers are converted by it; Debian 12 has one that is too old',
    remedy: 'npm start (it builds one)',
  };
  const built = await findArtifact('erofs-utils', 'mkfs.erofs');
  for (const command of ['mkfs.erofs', ...(built === null ? [] : [built])]) {
    try {
      const { stdout, stderr } = await run(command, ['--help']);
      if (`${stdout}${stderr}`.includes('--tar='))
        return judge('mkfs.erofs', true, command, advice);
    } catch {
      // The next one may do.
    }
  }
  return judge('mkfs.erofs', false, 'none that reads tar streams', advice);
}

async function artifact(kind: string, file: string, reason: string): Promise<Finding> {
  const remedy = 'npm start (it builds it)';
  const found = await findArtifact(kind, file);
  if (found !== null) return judge(kind, true, found, { reason, remedy });
  return judge(kind, false, `none built in ${cache}`, { reason, remedy });
}

/** A file in any build of the cache. */
async function findArtifact(kind: string, file: string): Promise<string | null> {
  try {
    for (const build of await readdir(path.join(cache, kind))) {
      const candidate = path.join(cache, kind, build, file);
      if (await exists(candidate)) return candidate;
    }
  } catch {
    // No cache yet.
  }
  return null;
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}

async function diskSpace(): Promise<Finding> {
  const { bavail, bsize } = await statfs('/var/lib');
  const found = `${String(Math.round((bavail * bsize) / 1024 ** 3))} GiB free in /var/lib`;
  const advice = {
    reason: 'images, logs and disks of containers live there',
    remedy: 'free some space, or move --data-root',
  };
  return judge('disk', bavail * bsize >= leastFreeBytes, found, advice);
}

async function daemon(api: ApiClient): Promise<Finding> {
  const advice = { reason: 'nothing runs without it', remedy: 'npm run daemon' };
  try {
    (await api.open('GET', '/_ping')).resume();
    return judge('hyperd', true, `answers at ${api.host}`, advice);
  } catch {
    return { name: 'hyperd', state: 'note', found: `does not answer at ${api.host}`, ...advice };
  }
}
