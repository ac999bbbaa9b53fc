import { once } from 'node:events';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openAgentClient } from '../../../hyperd/agent/agent-client.ts';
import { isAlive } from '../../../hyperd/base/process-table.ts';
import { spawnProcess } from '../../../hyperd/base/subprocess.ts';
import type { Disk, HypervisorDriver, Vm, VmRecord } from '../../../hyperd/hypervisor/driver.ts';
import { openQemuDriver } from '../../../hyperd/hypervisor/qemu/driver.ts';
import { testInitrd, testKernel } from '../../support/artifacts.ts';

const patient = () => AbortSignal.timeout(60_000);

let driver: HypervisorDriver;
let kernelPath: string;
let initrdPath: string;
let directory: string;
let vms: { readonly record: VmRecord; stop: Vm['stop'] }[];

beforeAll(async () => {
  kernelPath = await testKernel();
  initrdPath = await testInitrd();
  const stateFile = path.join(tmpdir(), 'hyper-contract-kvm.json');
  driver = await openQemuDriver({ kernelPath, stateFile });
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyq-'));
  vms = [];
});

afterEach(async () => {
  for (const vm of vms) await vm.stop({ graceMs: 0 });
  const left = vms.filter(({ record }) => isAlive(record.pid, record.startTicks));
  await rm(directory, { recursive: true });
  expect(left).toEqual([]);
});

function config(devices: readonly Disk[] = []) {
  const id = 'f'.repeat(64);
  const size = { memoryMiB: 192, vcpus: 1 };
  return {
    ...{ id, runDirectory: directory, kernelPath, initrdPath, devices, ...size },
    kernelArguments: [],
  };
}

async function launch(devices: readonly Disk[] = []): Promise<Vm> {
  const vm = await driver.launch(config(devices), patient());
  vms.push(vm);
  return vm;
}

async function disk(id: string): Promise<Disk> {
  const file = path.join(directory, `${id}.raw`);
  await writeFile(file, '');
  await truncate(file, 1024 * 1024);
  return { kind: 'disk', id, path: file, readOnly: false };
}

/** Waits until the guest is up, so that it takes part in plugging. */
async function agentOf(vm: Vm) {
  const channel = await vm.connect('control', patient());
  return openAgentClient(channel, { signal: patient(), onEvent: () => undefined });
}

/** Launches a VM from another process, which then dies as a killed daemon would. */
async function launchFromKilledDaemon(): Promise<VmRecord> {
  const script = path.join(directory, 'launch.ts');
  const module = path.join(import.meta.dirname, '../../../hyperd/hypervisor/qemu/driver.ts');
  const options = { kernelPath, stateFile: path.join(tmpdir(), 'hyper-contract-kvm.json') };
  await writeFile(
    script,
    `import { openQemuDriver } from ${JSON.stringify(module)};
     const driver = await openQemuDriver(${JSON.stringify(options)});
     const vm = await driver.launch(${JSON.stringify(config())}, AbortSignal.timeout(60000));
     process.stdout.write(JSON.stringify(vm.record) + '\\n');
     setInterval(() => undefined, 1000);`,
  );
  const daemon = spawnProcess(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(daemon, 'exit');
  const [line] = (await once(daemon.stdout!, 'data')) as [Buffer];
  daemon.kill('SIGKILL');
  await ended;
  return JSON.parse(line.toString()) as VmRecord;
}

describe('opening the QEMU driver', () => {
  it('tells that QEMU is missing and how to get it', async () => {
    const opening = openQemuDriver({ binary: 'qemu-nowhere', kernelPath, stateFile: '/nowhere' });
    await expect(opening).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('qemu-nowhere') as string,
      hint: 'apt-get install qemu-system-x86',
    });
  });

  it('refuses a QEMU older than 7.2', async () => {
    const binary = path.join(directory, 'qemu-old');
    await writeFile(binary, '#!/bin/sh\necho QEMU emulator version 7.1.0\n', { mode: 0o755 });
    const opening = openQemuDriver({ binary, kernelPath, stateFile: '/nowhere' });
    await expect(opening).rejects.toThrow('QEMU version 7.1.0 is too old: 7.2 or newer is needed');
  });
});

describe('a launch by QEMU', () => {
  it('that QEMU refuses tells why in its own words, and leaves no socket', async () => {
    const attempt = driver.launch({ ...config(), kernelPath: initrdPath }, patient());
    await expect(attempt).rejects.toThrow(/launch: .*: qemu: linux kernel too old to load/s);
    expect(await readdir(directory)).toEqual(['qemu.log']);
  });

  it('that is aborted at any moment leaves no process and no socket', async () => {
    for (const milliseconds of [1, 20, 60, 120]) {
      const attempt = driver.launch(config(), AbortSignal.timeout(milliseconds));
      const vm = await attempt.catch(() => null);
      await vm?.stop({ graceMs: 0 });
      expect((await readdir(directory)).filter((file) => file.endsWith('.sock'))).toEqual([]);
    }
  });

  it('refuses device ids that QEMU could take for something else', async () => {
    const attempt = launch([{ ...(await disk('a')), id: 'a,file=/etc/shadow' }]);
    await expect(attempt).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a VM of QEMU', () => {
  it('has room for 130 disks', async () => {
    const names = Array.from({ length: 130 }, (_, index) => `${String(index)}-layer`);
    const vm = await launch(await Promise.all(names.map(disk)));
    const agent = await agentOf(vm);
    expect(agent.hello.kernelRelease).toContain('hyper');
  });

  it('removes its sockets though it was killed, and says what killed it', async () => {
    const vm = await launch();
    process.kill(vm.record.pid, 'SIGKILL');
    const exit = await vm.exited;
    const pid = String(vm.record.pid);
    expect(exit).toEqual({
      reason: 'crashed',
      detail: `QEMU process ${pid} ended (killed by SIGKILL)`,
    });
    expect((await readdir(directory)).filter((file) => file.endsWith('.sock'))).toEqual([]);
    await expect(vm.plug(await disk('late'), patient())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await expect(vm.connect('control', patient())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await vm.unplug('late', patient());
  });

  it('lets go of plugged disks only', async () => {
    const vm = await launch([await disk('boot')]);
    await agentOf(vm);
    await expect(vm.unplug('boot', patient())).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(vm.plug(await disk('boot'), patient())).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await vm.plug(await disk('one'), patient());
    await vm.plug(await disk('two'), patient());
    await expect(vm.plug(await disk('three'), patient())).rejects.toThrow('hot-plug ports are');
    await vm.unplug('one', patient());
    expect(await vm.plug(await disk('three'), patient())).toMatchObject({ id: 'three' });
  });

  it('shows its console live, to one reader', async () => {
    const vm = await launch();
    const console = await vm.connect('console', patient());
    await expect(vm.connect('console', patient())).rejects.toMatchObject({ code: 'INVALID_STATE' });
    await vm.stop({ graceMs: 0 });
    console.resume();
    await once(console, 'end');
  });

  it('that outlived its daemon is adopted with all its abilities', async () => {
    const record = await launchFromKilledDaemon();
    vms.push({
      record,
      stop: async () => (await driver.adopt(record, patient())).stop({ graceMs: 0 }),
    });
    const vm = await driver.adopt(record, patient());
    vms = [vm];
    const agent = await agentOf(vm);
    await vm.pause();
    await vm.resume();
    await vm.plug(await disk('late'), patient());
    await vm.unplug('late', patient());
    await agent.request('shutdown', {}, patient());
    expect(await vm.exited).toEqual({ reason: 'stopped' });
  });

  it('that outlived its daemon is known to have crashed', async () => {
    const record = await launchFromKilledDaemon();
    const vm = await driver.adopt(record, patient());
    process.kill(record.pid, 'SIGKILL');
    expect(await vm.exited).toMatchObject({ reason: 'crashed' });
    await expect(driver.adopt(record, patient())).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('whose adoption is given up runs on', async () => {
    const record = await launchFromKilledDaemon();
    await expect(driver.adopt(record, AbortSignal.abort(new Error('no')))).rejects.toThrow('no');
    expect(isAlive(record.pid, record.startTicks)).toBe(true);
    vms.push(await driver.adopt(record, patient()));
  });
});
