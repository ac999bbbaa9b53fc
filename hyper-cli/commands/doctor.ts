import { constants } from 'node:fs';
import { access, readdir, statfs } from 'node:fs/promises';
import path from 'node:path';

import { Command } from 'commander';

import { run } from '../../hyperd/base/subprocess.ts';
import type { ApiClient } from '../api-client.ts';
import { cacheDirectory } from '../config.ts';
import { describeFinding, type Finding } from '../output/finding.ts';
import { findKvmEvidence, judgeKvm } from './doctor-kvm.ts';

const oldestNode = 24;
const leastFreeBytes = 5 * 1024 ** 3;

/** `hyper doctor`: what this host can do and cannot. */
export function doctorCommand(api: () => ApiClient): Command {
  return new Command('doctor')
    .description('check what this host can do and cannot')
    .option('--json', 'one JSON object a line')
    .option('--data-root <directory>', "hyperd's, when it is not the default", '/var/lib/hyper')
    .addHelpText('after', '\nExample:\n  hyper doctor')
    .action(async (options: { json?: boolean; dataRoot: string }) => {
      const findings = await examine(api(), options.dataRoot);
      for (const finding of findings) {
        process.stdout.write(
          options.json === true ? `${JSON.stringify(finding)}\n` : describeFinding(finding),
        );
      }
      if (findings.some(({ state }) => state === 'missing')) process.exitCode = 1;
    });
}

async function examine(api: ApiClient, dataRoot: string): Promise<readonly Finding[]> {
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
    findKvmEvidence(api, dataRoot).then(judgeKvm),
    program(
      'qemu',
      'qemu-system-x86_64',
      ['--version'],
      'it is the hypervisor',
      'apt-get install qemu-system-x86',
    ),
    tun(),
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
    diskSpace(dataRoot),
    daemon(api),
  ]);
}

type Advice = Pick<Finding, 'reason' | 'remedy'>;

function judge(name: string, isGood: boolean, found: string, advice: Advice): Finding {
  return { name, state: isGood ? 'ok' : 'missing', found, ...advice };
}

async function tun(): Promise<Finding> {
  const device = '/dev/net/tun';
  const advice = { reason: 'VMs reach the network through TAP devices', remedy: 'modprobe tun' };
  try {
    await access(device, constants.R_OK | constants.W_OK);
    return judge('tun', true, device, advice);
  } catch {
    return judge('tun', false, `no ${device}`, advice);
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
  return judge(kind, false, `none built in ${cacheDirectory}`, { reason, remedy });
}

/** A file in any build of the cache. */
async function findArtifact(kind: string, file: string): Promise<string | null> {
  try {
    for (const build of await readdir(path.join(cacheDirectory, kind))) {
      const candidate = path.join(cacheDirectory, kind, build, file);
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

async function diskSpace(dataRoot: string): Promise<Finding> {
  const place = (await exists(dataRoot)) ? dataRoot : path.dirname(dataRoot);
  const { bavail, bsize } = await statfs(place);
  const found = `${String(Math.round((bavail * bsize) / 1024 ** 3))} GiB free in ${place}`;
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
