import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ApiClient } from '../../../hyper-cli/api-client.ts';
import { findKvmEvidence, judgeKvm, readKvmState } from '../../../hyper-cli/commands/doctor-kvm.ts';
import { describeFinding } from '../../../hyper-cli/output/finding.ts';
import { startFakeApi } from '../../support/fake-api.ts';
import { runHyper } from '../../support/hyper-cli.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-doctor-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('a finding', () => {
  const finding = {
    name: 'tun',
    found: '/dev/net/tun',
    reason: 'VMs need it',
    remedy: 'modprobe tun',
  };

  it.each([
    ['ok', 'modprobe tun', '✓ tun            /dev/net/tun\n'],
    [
      'missing',
      'modprobe tun',
      '✗ tun            /dev/net/tun\n    VMs need it\n    → modprobe tun\n',
    ],
    ['note', '', '· tun            /dev/net/tun\n    VMs need it\n'],
  ] as const)('that is %s is described', (state, remedy, text) => {
    expect(describeFinding({ ...finding, state, remedy })).toBe(text);
  });
});

describe('KVM', () => {
  const device = '/dev/kvm opens but does not work';
  it.each([
    [[true, null, true], 'ok', 'works (hyperd says so)'],
    [[true, false, true], 'ok', 'works (hyperd says so)'],
    [[null, true, true], 'ok', 'works (hyperd has booted a kernel to see)'],
    [[false, true, true], 'note', `${device} (hyperd says so)`],
    [[null, false, true], 'note', `${device} (hyperd has booted a kernel to see)`],
    [[null, null, true], 'note', '/dev/kvm opens, not proven yet'],
    [[false, null, false], 'note', '/dev/kvm is missing or cannot be opened'],
    [[null, null, false], 'note', '/dev/kvm is missing or cannot be opened'],
  ] as const)(
    'with a daemon, a boot and a device that say %j is %s: %s',
    (evidence, state, found) => {
      const [daemonUses, isProven, canOpen] = evidence;
      expect(judgeKvm({ daemonUses, isProven, canOpen })).toMatchObject({ state, found });
    },
  );

  it('is known from what hyperd found since this boot, and not from before', async () => {
    const file = path.join(directory, 'kvm.json');
    const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const found: (boolean | null)[] = [await readKvmState(file)];
    for (const key of [`${bootId} 7.2.0 /vmlinux`, 'other-boot 7.2.0 /vmlinux']) {
      await writeFile(file, JSON.stringify({ key, isWorking: false }));
      found.push(await readKvmState(file));
    }
    await writeFile(file, 'half a fi');
    found.push(await readKvmState(file));
    expect(found).toEqual([null, false, null, null]);
  });

  it('is asked of a daemon on this host only', async () => {
    await using api = await startFakeApi();
    const socket = await api.listenUnix();
    const local = await findKvmEvidence(new ApiClient(`unix://${socket}`), directory);
    const remote = await findKvmEvidence(new ApiClient('tcp://192.0.2.1:1'), directory);
    expect([local.daemonUses, remote.daemonUses]).toEqual([false, null]);
  });
});

it('hyper doctor tells of every finding, as JSON too', async () => {
  await using api = await startFakeApi();
  const socket = await api.listenUnix();
  const { stdout } = await runHyper(socket, ['doctor', '--json', '--data-root', directory]);
  const findings = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string });
  expect(findings.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['node', 'kvm', 'qemu', 'tun', 'kernel', 'disk', 'hyperd']),
  );
  expect(findings.find(({ name }) => name === 'hyperd')).toMatchObject({ state: 'ok' });
});
