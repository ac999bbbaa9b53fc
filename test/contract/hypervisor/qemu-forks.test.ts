import { mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openAgentClient } from '../../../hyperd/agent/agent-client.ts';
import { hasEndedWithin, isAlive } from '../../../hyperd/base/process-table.ts';
import type { ForkAbility, Vm } from '../../../hyperd/hypervisor/driver.ts';
import { openDriver } from '../../../hyperd/hypervisor/registry.ts';
import { type MemoryMounts, openMemoryMounts } from '../../../hyperd/pod/warm/memory-mounts.ts';
import { testInitrd, testKernel, testVmFork } from '../../support/artifacts.ts';

const patient = (): AbortSignal => AbortSignal.timeout(60_000);
const shape = { memoryMiB: 256, vcpus: 2, hasNic: false };

let directory: string;
let mounts: MemoryMounts;
let forks: ForkAbility;
let parent: Vm;
let vms: Vm[];

async function vmConfig(id: string) {
  const runDirectory = path.join(directory, id);
  await mkdir(runDirectory);
  return { id: id.padEnd(64, '0'), runDirectory, nic: null };
}

async function agentOf(vm: Vm) {
  const signal = patient();
  const channel = await vm.connect('control', signal);
  return openAgentClient(channel, { signal, onEvent: () => undefined });
}

async function park(vm: Vm): Promise<void> {
  const agent = await agentOf(vm);
  await agent.request('park', {}, patient());
  agent.close();
  await agent.closed;
}

async function fork(id: string): Promise<Vm> {
  const vm = await forks.fork(parent, await vmConfig(id), patient());
  vms.push(vm);
  return vm;
}

/** A fork's shared memory, and how to end the fork. */
async function forkSharing(id: string) {
  const vm = await fork(id);
  const { sharedMemory } = vm;
  if (sharedMemory === null) throw new Error('the fork shares no memory');
  return { sharedMemory, stop: () => vm.stop({ graceMs: 0 }) };
}

/** What the descriptors of a VM's process are, those of one kind. */
async function descriptors({ record }: Vm, kind: string): Promise<readonly string[]> {
  const folder = `/proc/${String(record.pid)}/fd`;
  const names = await readdir(folder);
  const links = await Promise.all(
    names.map((name) => readlink(path.join(folder, name)).catch(() => '')),
  );
  return links.filter((link) => link.startsWith(kind));
}

/** Memory that the process shares with whoever has the same file mapped. */
async function sharedMappings({ record }: Vm): Promise<readonly string[]> {
  const maps = await readFile(`/proc/${String(record.pid)}/maps`, 'utf8');
  const lines = maps.split('\n').filter((line) => / rw-s /.test(line));
  return lines.map((line) => line.split(/\s+/).slice(3, 5).join(' '));
}

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyc-'));
  mounts = await openMemoryMounts(directory);
  vms = [];
  const kernelPath = await testKernel();
  const driver = await openDriver('qemu', {
    kernelPath,
    stateFile: path.join(directory, 'kvm.json'),
    forkLibrary: await testVmFork(),
  });
  const { templates } = driver;
  if (templates?.forks == null) throw new Error('no forks here');
  ({ forks } = templates);
  const templateDirectory = path.join(mounts.shared, 'template');
  await mkdir(templateDirectory);
  const files = { templateDirectory, privateDirectory: mounts.private, shape };
  const initrdPath = await testInitrd();
  const maker = { ...(await vmConfig('maker')), ...files, kernelPath, initrdPath };
  await templates.makeTemplate(maker, park, patient());
  parent = await forks.launchParent({ ...(await vmConfig('parent')), ...files }, patient());
  vms.push(parent);
  await park(parent);
  await parent.pause();
});

afterEach(async () => {
  for (const vm of vms) await vm[Symbol.asyncDispose]();
  const left = vms.filter(({ record }) => isAlive(record.pid, record.startTicks));
  await mounts[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
  expect(left).toEqual([]);
});

describe('forks of a QEMU process', () => {
  it('are VMs of their own, any number of them', async () => {
    const names = ['one', 'two', 'three'];
    const copies = await Promise.all(names.map(fork));
    for (const copy of copies) {
      const agent = await agentOf(copy);
      expect(agent.hello.processes).toEqual([]);
      expect(copy.timeline).toHaveProperty('fork');
      agent.close();
      await agent.closed;
    }
    const all = [parent, ...copies];
    expect(new Set(all.map(({ record }) => record.pid)).size).toBe(4);
    for (const kind of ['socket:', 'anon_inode:[eventfd]']) {
      const found = await Promise.all(all.map((vm) => descriptors(vm, kind)));
      expect(found[1]?.length).toBeGreaterThan(2);
    }
    const sockets = (await Promise.all(all.map((vm) => descriptors(vm, 'socket:')))).flat();
    expect(new Set(sockets).size).toBe(sockets.length);
    const shared = (await Promise.all(all.map(sharedMappings))).flat();
    // Guest memory, and of a fork what it has in common with the daemon.
    expect(shared).toHaveLength(7);
    expect(new Set(shared).size).toBe(7);
    expect(all.map(({ sharedMemory }) => sharedMemory === null)).toEqual([
      true,
      ...[false, false, false],
    ]);
  });

  // Their guests hear the next host before they know that the last one has hung up, in one of some dozens.
  it('answer whoever comes at once, each of many', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `answering${String(index)}`);
    const lanes = [names.slice(0, 30), names.slice(30)].map(async (lane) => {
      for (const name of lane) {
        const copy = await fork(name);
        const agent = await agentOf(copy);
        agent.close();
        await copy.stop({ graceMs: 0 });
      }
    });
    await Promise.all(lanes);
  });

  it('have every thread under the system call filter', async () => {
    const { record } = await fork('filtered');
    const tasks = `/proc/${String(record.pid)}/task`;
    const modes = await Promise.all(
      (await readdir(tasks)).map(async (task) => {
        const status = await readFile(path.join(tasks, task, 'status'), 'utf8');
        return /^Seccomp:\t(\d)$/m.exec(status)?.[1];
      }),
    );
    // Main loop, two processors, and what else QEMU has.
    expect(modes.length).toBeGreaterThan(3);
    expect(new Set(modes)).toEqual(new Set(['2']));
  });

  it('go on when their parent ends, and end alone', async () => {
    const first = await fork('first');
    const second = await fork('second');
    await first.stop({ graceMs: 0 });
    await parent.stop({ graceMs: 0 });

    const agent = await agentOf(second);

    expect(agent.hello.processes).toEqual([]);
    expect(await hasEndedWithin(1000, first.record)).toBe(true);
    expect(await readdir(path.join(directory, 'first'))).toEqual(['qemu.log']);
  });

  it('share memory with the daemon as long as they live, and no file of its afterwards', async () => {
    const { sharedMemory: memory, stop } = await forkSharing('sharing');
    memory.write(4096, Buffer.from('to and fro'));
    expect(memory.read(4096, 10).toString()).toBe('to and fro');
    await stop();
    memory.write(4096, Buffer.from('too late'));
    expect(() => memory.read(4096, 10)).toThrow('the VM has ended');
  });

  it('are refused with the reason, and the parent stays of use', async () => {
    const config = await vmConfig('gone');
    await rm(config.runDirectory, { recursive: true });
    await expect(forks.fork(parent, config, patient())).rejects.toThrow(
      /fork: .*not forked: failed .*gone: No such file or directory/,
    );
    const noTap = { ...(await vmConfig('other')), nic: null };
    const copy = await forks.fork(parent, noTap, patient());
    vms.push(copy);
    expect((await agentOf(copy)).hello.processes).toEqual([]);
  });

  it('are refused when the parent is gone', async () => {
    await parent.stop({ graceMs: 0 });
    await expect(forks.fork(parent, await vmConfig('late'), patient())).rejects.toThrow(/fork: /);
  });

  it('do not stay when nobody waits for them any more', async () => {
    const { signal, abort } = ((controller) => ({
      signal: controller.signal,
      abort: () => {
        controller.abort(new Error('not needed'));
      },
    }))(new AbortController());
    const config = await vmConfig('unwanted');
    const forking = forks.fork(parent, config, signal);
    abort();
    await expect(forking).rejects.toThrow('not needed');
    const inDirectory = async (): Promise<readonly string[]> => {
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
      const folders = await Promise.all(
        pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')),
      );
      return folders.filter((folder) => folder === config.runDirectory);
    };
    // By then it has been there, and has gone.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await inDirectory()).toEqual([]);
  });
});
