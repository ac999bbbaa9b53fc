import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openAgentClient } from '../../../hyperd/agent/agent-client.ts';
import { isAlive } from '../../../hyperd/base/process-table.ts';
import type { TemplateAbility, Vm } from '../../../hyperd/hypervisor/driver.ts';
import { type MemoryMounts, openMemoryMounts } from '../../../hyperd/pod/warm/memory-mounts.ts';
import type { ContractSubject } from './contract.ts';

const patient = (): AbortSignal => AbortSignal.timeout(60_000);
const shape = { memoryMiB: 256, vcpus: 1, hasNic: false };

/** What a driver that has templates must hold, told by driver.ts. */
export function templateContract(name: string, open: () => Promise<ContractSubject>): void {
  describe(`templates of hypervisor driver ${name}`, () => {
    let subject: ContractSubject;
    let ability: TemplateAbility;
    let directory: string;
    let mounts: MemoryMounts;
    let templateDirectory: string;
    let vms: Vm[];

    beforeEach(async () => {
      subject = await open();
      if (subject.driver.templates === null) throw new Error(`driver ${name} has no templates`);
      ability = subject.driver.templates;
      directory = await mkdtemp(path.join(tmpdir(), 'hyc-'));
      mounts = await openMemoryMounts(directory);
      templateDirectory = path.join(mounts.shared, 'template');
      await mkdir(templateDirectory);
      vms = [];
    });

    afterEach(async () => {
      for (const vm of vms) await vm[Symbol.asyncDispose]();
      const left = vms.filter(({ record }) => isAlive(record.pid, record.startTicks));
      await mounts[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
      expect(left).toEqual([]);
    });

    async function vmConfig(id: string) {
      const runDirectory = path.join(directory, id);
      await mkdir(runDirectory);
      const files = { templateDirectory, privateDirectory: mounts.private };
      return { ...files, id: id.padEnd(64, '0'), runDirectory, shape, nic: null };
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

    async function make(prepare = park): Promise<void> {
      const { kernelPath, initrdPath } = subject;
      const config = { ...(await vmConfig('maker')), kernelPath, initrdPath };
      await ability.makeTemplate(config, prepare, patient());
    }

    async function launchClone(id: string): Promise<Vm> {
      const vm = await ability.launchClone(await vmConfig(id), patient());
      vms.push(vm);
      return vm;
    }

    async function sharedHash(): Promise<string> {
      const hash = createHash('sha256');
      for (const file of (await readdir(templateDirectory)).sort()) {
        hash.update(await readFile(path.join(templateDirectory, file)));
      }
      return hash.digest('hex');
    }

    it('starts any number of clones, which change nothing of the template', async () => {
      await make();
      const before = await sharedHash();
      for (const id of ['one', 'two', 'three']) {
        const agent = await agentOf(await launchClone(id));
        expect(agent.hello.processes).toEqual([]);
      }
      // By now the kernels have offered their free memory to the host.
      await new Promise((resolve) => setTimeout(resolve, 4000));
      expect(await sharedHash()).toBe(before);
      expect(await readdir(mounts.private)).toEqual([]);
    });

    it('plugs disks into a clone by the kind, as many as it has slots', async () => {
      await make();
      const vm = await launchClone('clone');
      const file = path.join(directory, 'disk.raw');
      await writeFile(file, '');
      await truncate(file, 1024 * 1024);
      const names: string[] = [];
      for (let index = 0; index < ability.diskSlots.readOnly; index += 1) {
        const disk = { kind: 'disk', id: `d${String(index)}`, path: file, readOnly: true } as const;
        names.push((await vm.plug(disk, patient())).guestName);
      }
      expect(new Set(names).size).toBe(names.length);
      await vm.unplug('d3', patient());
      const again = { kind: 'disk', id: 'again', path: file, readOnly: true } as const;
      expect((await vm.plug(again, patient())).guestName).toBe(names[3]);
    });

    it('ends the VM and tells why when its preparation fails', async () => {
      const failing = make(() => Promise.reject(new Error('not today')));
      await expect(failing).rejects.toThrow('not today');
      expect(await readdir(mounts.private)).toEqual([]);
      expect(await readdir(path.join(directory, 'maker'))).not.toContain('qmp.sock');
    });

    it('refuses a state that is cut short, and leaves nothing behind', async () => {
      await make();
      await truncate(path.join(templateDirectory, 'state'), 1000);
      await expect(launchClone('broken')).rejects.toThrow(/launch/);
      expect(await readdir(mounts.private)).toEqual([]);
      expect(await readdir(path.join(directory, 'broken'))).toEqual(['qemu.log']);
    });

    it('supports no shape that is too small to share anything', () => {
      expect(ability.supports({ ...shape, memoryMiB: 64 })).toBe(false);
      expect(ability.supports(shape)).toBe(true);
    });
  });
}
