import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openAgentClient } from '../../../hyperd/agent/agent-client.ts';
import type { Disk, HypervisorDriver, Vm, VmConfig } from '../../../hyperd/hypervisor/driver.ts';
import { isAlive } from '../../../hyperd/base/process-table.ts';

export interface ContractSubject {
  readonly driver: HypervisorDriver;
  readonly kernelPath: string;
  readonly initrdPath: string;
}

const patient = () => AbortSignal.timeout(60_000);

/** What every driver must hold, told by driver.ts. */
export function hypervisorContract(name: string, open: () => Promise<ContractSubject>): void {
  describe(`hypervisor driver ${name}`, () => {
    let subject: ContractSubject;
    let directory: string;
    let vms: Vm[];

    beforeEach(async () => {
      subject = await open();
      directory = await mkdtemp(path.join(tmpdir(), 'hyc-'));
      vms = [];
    });

    afterEach(async () => {
      for (const vm of vms) await vm[Symbol.asyncDispose]();
      const left = vms.filter(({ record }) => isAlive(record.pid, record.startTicks));
      await rm(directory, { recursive: true });
      expect(left).toEqual([]);
    });

    function config(changes: Partial<VmConfig> = {}): VmConfig {
      return {
        id: 'c'.repeat(64),
        runDirectory: directory,
        kernelPath: subject.kernelPath,
        initrdPath: subject.initrdPath,
        kernelArguments: [],
        memoryMiB: 256,
        vcpus: 1,
        devices: [],
        ...changes,
      };
    }

    async function launch(changes: Partial<VmConfig> = {}): Promise<Vm> {
      const vm = await subject.driver.launch(config(changes), patient());
      vms.push(vm);
      return vm;
    }

    async function agentOf(vm: Vm) {
      const signal = patient();
      return openAgentClient(await vm.connect('control', signal), {
        signal,
        onEvent: () => undefined,
      });
    }

    async function disk(id: string): Promise<Disk> {
      const file = path.join(directory, `${id}.raw`);
      await writeFile(file, '');
      await truncate(file, 1024 * 1024);
      return { kind: 'disk', id, path: file, readOnly: false };
    }

    it('boots a VM whose agent answers, and tells a clean power-off from a crash', async () => {
      const vm = await launch({ devices: [await disk('disk0')] });
      const agent = await agentOf(vm);
      await agent.request('shutdown', {}, patient());
      expect(await vm.exited).toEqual({ reason: 'stopped' });
      expect(Object.keys(vm.timeline)).toContain('running');
    });

    it('reports a killed VM process as a crash, once', async () => {
      const vm = await launch();
      process.kill(vm.record.pid, 'SIGKILL');
      expect(await vm.exited).toMatchObject({
        reason: 'crashed',
        detail: expect.any(String) as string,
      });
      await expect(vm.connect('control', AbortSignal.timeout(2000))).rejects.toThrow();
      const gone = { code: 'UNAVAILABLE' };
      await expect(vm.plug(await disk('late'), patient())).rejects.toMatchObject(gone);
      await expect(vm.resume()).rejects.toMatchObject(gone);
    });

    it('shows the last console lines of a kernel that panics', async () => {
      const broken = path.join(directory, 'broken-initrd');
      await writeFile(broken, 'this is no archive');
      const vm = await launch({ initrdPath: broken });
      expect(await vm.exited).toMatchObject({ reason: 'crashed' });
      expect(vm.consoleTail()).toMatch(/panic/i);
    });

    it('names a file that is missing, and leaves nothing behind', async () => {
      const attempt = subject.driver.launch(config({ kernelPath: '/nowhere/vmlinux' }), patient());
      await expect(attempt).rejects.toThrow('/nowhere/vmlinux');
      expect(await readdir(directory)).toEqual([]);
    });

    it('gives up a launch that is aborted', async () => {
      const attempt = subject.driver.launch(config(), AbortSignal.timeout(1));
      await expect(attempt).rejects.toThrow();
    });

    it('adopts a running VM by its record, and refuses one that is gone', async () => {
      const vm = await launch();
      await (
        await agentOf(vm)
      )
        .request('stats', { containerId: 'x' }, patient())
        .catch(() => undefined);
      const record = JSON.parse(JSON.stringify(vm.record)) as typeof vm.record;
      await expect(
        subject.driver.adopt({ ...record, startTicks: 1 }, patient()),
      ).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      await vm.stop({ graceMs: 0 });
      await expect(subject.driver.adopt(record, patient())).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    });

    it('stops at once and again without harm', async () => {
      const vm = await launch();
      expect(await vm.stop({ graceMs: 0 })).toEqual({ reason: 'stopped' });
      expect(await vm.stop({ graceMs: 1000 })).toEqual({ reason: 'stopped' });
    });

    it('does what its features say: pause, resume, plug and unplug', async () => {
      const vm = await launch();
      const agent = await agentOf(vm);
      if (subject.driver.features.pause) {
        await vm.pause();
        await vm.resume();
      }
      if (subject.driver.features.hotplug.includes('disk')) {
        expect(await vm.plug(await disk('late'), patient())).toEqual({
          id: 'late',
          guestName: 'late',
        });
        await vm.unplug('late', patient());
        await vm.unplug('late', patient());
      }
      await expect(agent.request('stats', { containerId: 'x' }, patient())).rejects.toThrow(
        'not known',
      );
    });
  });
}
