import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, describe, expect, it } from 'vitest';

import { TestDaemon } from '../support/daemon.ts';

const poolSize = 2;
const clones = 200;
const atOnce = 4;
const patientMs = 90_000;
/** Two hundred starts take three minutes on two slow cores without KVM. */
const manyStartsMs = 600_000;

let daemon: TestDaemon;

afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
});

/** Looks again until it is true. */
async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patientMs;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${String(patientMs)} ms`);
    await delay(50);
  }
}

/** VMs that were started as copies, but for those that are there to be forked. */
async function cloneCount(): Promise<number> {
  const isClone = await Promise.all(
    (await daemon.vmPids()).map(async (pid) => {
      const process = `/proc/${String(pid)}`;
      const command = await readFile(`${process}/cmdline`, 'utf8').catch(() => '');
      const files = await readdir(`${process}/cwd`).catch((): string[] => []);
      return command.includes('-incoming') && !files.includes('fork.sock');
    }),
  );
  return isClone.filter(Boolean).length;
}

/** For VMs that are not forked, but cloned of files: the way where there is KVM. */
const withoutForks = ['--vm-fork', ''];

const templateDirectory = (): string => path.join(daemon.directory, 'run/memory/shared');

/** The daemon says so when it will use it: the files are there earlier. */
const hasTemplate = (): Promise<boolean> =>
  Promise.resolve(daemon.log.includes('made the template for VMs'));

/** Output of a container that ran to its end. */
async function output(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(['run', '--rm', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function timelineOf(name: string): Promise<Readonly<Record<string, number>>> {
  const { Timeline } = await daemon.api.json<{ Timeline: Record<string, number> }>(
    'GET',
    `/hyper/containers/${name}/timeline`,
  );
  return Timeline;
}

const identity = `
  date +%s
  cd /proc/sys/kernel/random; cat boot_id uuid
  head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo
`;

const script = ['sh', '-c', identity];

/** When the container's process was started, by the daemon's clock. */
async function startedSeconds(name: string): Promise<number> {
  const path = `/containers/${name}/json`;
  const { State } = await daemon.api.json<{ State: { StartedAt: string } }>('GET', path);
  return Date.parse(State.StartedAt) / 1000;
}

describe('VMs that begin as copies', () => {
  it.each([
    ['forks', []],
    ['clones of files', withoutForks],
  ])(
    'share no identity, and know the time: %s',
    async (_, flags) => {
      daemon = await TestDaemon.start(['busybox'], ['--pool-size', String(poolSize), ...flags]);
      await until('the pool', async () => (await cloneCount()) === poolSize);
      const seen: string[] = [];
      let wrongClocks = 0;
      const next = Array.from({ length: clones }, (_, index) => index);
      const worker = async (): Promise<void> => {
        for (let index = next.pop(); index !== undefined; index = next.pop()) {
          const name = `copy${String(index)}`;
          const { stdout } = await daemon.docker(['run', '--name', name, 'busybox', ...script]);
          const [told, ...ids] = stdout.trim().split('\n');
          seen.push(...ids);
          // The container's second may be the one before ours.
          if (Math.abs(Number(told) - (await startedSeconds(name))) > 2) wrongClocks += 1;
          await daemon.docker(['rm', name]);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
      expect(seen).toHaveLength(3 * clones);
      expect(new Set(seen).size).toBe(seen.length);
      expect(wrongClocks).toBe(0);
    },
    manyStartsMs,
  );

  it('have addresses of their own, and reach each other by them', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--pool-size', String(poolSize)]);
    await until('the pool', async () => (await cloneCount()) === poolSize);
    const names = Array.from({ length: 6 }, (_, index) => `pod${String(index)}`);
    const serve = 'echo hello > index.html; httpd -f -p 80';
    for (const name of names) {
      const run = ['run', '-d', '--name', name, 'busybox', 'sh', '-c', serve];
      expect(await daemon.docker(run)).toMatchObject({ code: 0 });
    }
    expect(await timelineOf('pod0')).toHaveProperty('pool');
    const format = '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.MacAddress}}';
    const { stdout } = await daemon.docker(['inspect', '-f', format, ...names]);
    const endpoints = stdout.trim().split('\n');
    expect(new Set(endpoints.flatMap((line) => line.split(' '))).size).toBe(2 * names.length);
    for (const endpoint of endpoints) {
      const [address = ''] = endpoint.split(' ');
      expect(await output('busybox', 'wget', '-qO-', `http://${address}/`)).toBe('hello\n');
    }
    const links = ['exec', 'pod1', 'cat', '/sys/class/net/eth0/address'];
    expect((await daemon.docker(links)).stdout.trim()).toBe(endpoints[1]?.split(' ')[1]);
    expect(await output('--network', 'none', 'busybox', 'ls', '/sys/class/net')).not.toContain(
      'eth0',
    );
  });

  it('outlive a daemon that is killed, while the VMs that waited go with it', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--pool-size', String(poolSize)]);
    await until('the pool', async () => (await cloneCount()) === poolSize);
    await daemon.docker(['run', '-d', '--name', 'kept', 'busybox', 'sleep', '1000']);
    await until('the pool', async () => (await cloneCount()) === poolSize + 1);
    const before = await daemon.vmPids();
    await daemon.stopHyperd('SIGKILL');
    await daemon.startHyperd();
    const { stdout } = await daemon.docker(['exec', 'kept', 'echo', 'still here']);
    expect(stdout).toBe('still here\n');
    await until('the pool', async () => (await cloneCount()) === poolSize + 1);
    const kept = (await daemon.vmPids()).filter((pid) => before.includes(pid));
    expect(kept).toHaveLength(1);
  });

  it('leave nothing behind when the daemon is killed at any moment of their making', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--pool-size', String(poolSize)]);
    for (const ms of [100, 700, 1500, 2200, 2900, 3600, 4500]) {
      await delay(ms);
      const before = await daemon.vmPids();
      await daemon.stopHyperd('SIGKILL');
      // Else the next daemon would have nothing to make.
      await rm(templateDirectory(), { recursive: true, force: true }).catch(() => undefined);
      await daemon.startHyperd();
      const survivors = (await daemon.vmPids()).filter((pid) => before.includes(pid));
      expect({ ms, survivors }).toEqual({ ms, survivors: [] });
    }
    await until('the pool', async () => (await cloneCount()) === poolSize);
    expect(await output('busybox', 'echo', 'works')).toBe('works\n');
    expect(await readdir(path.join(daemon.directory, 'run/memory/private'))).toEqual([]);
    await daemon.stopHyperd('SIGTERM');
    expect(await daemon.leftovers()).toEqual([]);
  });

  it('are replaced by booted ones when the template is broken', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--pool-size', '0', ...withoutForks]);
    await until('a template', hasTemplate);
    const [name = ''] = await readdir(templateDirectory());
    await truncate(path.join(templateDirectory(), name, 'state'), 1000);
    await daemon.docker(['run', '-d', '--name', 'booted', 'busybox', 'sleep', '1000']);
    expect(await timelineOf('booted')).not.toHaveProperty('restored');
    expect(daemon.log).toContain('a clone did not start, so its VM is booted');
  });

  it('come in the size that the container asks for, once that is usual', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--pool-size', '0', ...withoutForks]);
    await until('a template', hasTemplate);
    const limits = ['--cpus', '1', '-m', '192m', 'busybox'];
    const ask = ['sh', '-c', 'nproc; cat /sys/fs/cgroup/memory.max; free -m | grep -c Mem'];
    for (let times = 0; times < 2; times += 1) await output(...limits, ...ask);
    const made = /"shape":"\d+m-1cpu"/;
    await until('the second template', () => Promise.resolve(made.test(daemon.log)));
    expect(await output(...limits, ...ask)).toBe(`1\n${String(192 * 1024 * 1024)}\n1\n`);
    await daemon.docker(['run', '-d', '--name', 'sized', ...limits, 'sleep', '1000']);
    expect(await timelineOf('sized')).toHaveProperty('restored');
  });

  it('are clones of files until there is another VM to be forked', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--pool-size', '0']);
    const parents = async (): Promise<readonly number[]> => {
      const pids = await daemon.vmPids();
      const files = await Promise.all(
        pids.map((pid) => readdir(`/proc/${String(pid)}/cwd`).catch((): string[] => [])),
      );
      return pids.filter((_, index) => files[index]?.includes('fork.sock'));
    };
    await until('a parent', async () => (await parents()).length === 1);
    const sleep = ['busybox', 'sleep', '1000'];
    const origin = async (name: string): Promise<Readonly<Record<string, number>>> => {
      expect(await daemon.docker(['run', '-d', '--name', name, ...sleep])).toMatchObject({
        code: 0,
      });
      return timelineOf(name);
    };
    await until('a fork', async () => {
      await daemon.docker(['rm', '-f', 'forked']);
      return 'fork' in (await origin('forked'));
    });
    for (const pid of await parents()) process.kill(pid, 'SIGKILL');
    await until('the news', () => Promise.resolve(daemon.log.includes('to be forked has died')));
    expect(await origin('cloned')).toHaveProperty('restored');
    expect((await daemon.docker(['exec', 'forked', 'echo', 'well'])).stdout).toBe('well\n');
    await until('a fork again', async () => {
      await daemon.docker(['rm', '-f', 'again']);
      return 'fork' in (await origin('again'));
    });
  });
});
