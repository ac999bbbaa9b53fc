import { beforeEach, describe, expect, it } from 'vitest';

import { SysError } from '../../../hyperstart/sys/sys.ts';
import { containerConfig, GuestBench, processConfig, streams } from '../../support/guest-bench.ts';

const cgroup = '/sys/fs/cgroup/containers/c1';
const first = { containerId: 'c1', execId: null } as const;
const exec = { containerId: 'c1', execId: 'e1' } as const;

let guest: GuestBench;
let pid: number;
beforeEach(async () => {
  guest = new GuestBench();
  guest.connect();
  pid = await guest.start();
});

const startExec = (changes = {}) =>
  guest.request('exec', { ...exec, process: processConfig({ streams: streams(11), ...changes }) });

function exits() {
  return guest.events().filter((event) => event.event === 'exit');
}

describe('the exit of a container', () => {
  it('is told after all of its output was taken by the host', () => {
    guest.sys.endProcess(pid, { exitCode: 3 });
    expect(exits()).toEqual([]);
    guest.drain(2);
    expect(exits()).toEqual([]);
    guest.drain(3);
    expect(exits()).toEqual([
      {
        type: 'event',
        event: 'exit',
        ...first,
        exit: { exitCode: 3, signal: null, oomKilled: false },
      },
    ]);
  });

  it('is told at once when its output was taken before', () => {
    guest.drain(2, 3);
    guest.sys.endProcess(pid, { signal: 15 });
    expect(exits()[0]).toMatchObject({ exit: { exitCode: 143, signal: 15 } });
  });

  it('waits as long as output is unread, and no longer when the host is slow to take it', () => {
    guest.sys.endProcess(pid);
    guest.sys.advance(60_000);
    expect(exits()).toEqual([]);
    guest.sys.channel.readToEnd.add(2).add(3);
    guest.sys.advance(2000);
    expect(exits()).toHaveLength(1);
    guest.drain(2, 3);
    expect(exits()).toHaveLength(1);
  });

  it('gives back everything that the container held, after the event is out', () => {
    guest.drain(2, 3);
    guest.sys.endProcess(pid);
    expect(guest.sys.mounts.some((mount) => mount.type === 'ext4')).toBe(true);
    guest.sys.advance(0);
    const types = guest.sys.mounts.map((mount) => mount.type);
    expect(types).not.toContain('overlay');
    expect(types).not.toContain('ext4');
    expect(types).not.toContain('erofs');
    expect(guest.sys.files.exists(cgroup)).toBe(false);
    expect(guest.sys.files.exists('/run/containers/c1')).toBe(false);
    expect(guest.sys.watchedPaths).toEqual(['/proc/pressure/memory']);
    expect(guest.sys.console).toEqual([]);
  });

  it('unmounts the rootfs before the disk that it lies on', () => {
    guest.drain(2, 3);
    guest.sys.endProcess(pid);
    guest.sys.advance(0);
    const unmounts = guest.sys.journal.filter((line) => line.startsWith('unmount'));
    expect(unmounts).toEqual([
      'unmount /run/containers/c1/dev (lazy)',
      'unmount /run/containers/c1/rootfs (lazy)',
      'unmount /run/disks/0',
      'unmount /run/layers/1',
      'unmount /run/layers/0',
    ]);
  });

  it('lets a disk go lazily when something holds it, with its data written', () => {
    guest.drain(2, 3);
    guest.sys.failures.set('unmount /run/disks/0', new SysError('unmount', 'EBUSY', 'busy'));
    guest.sys.endProcess(pid);
    guest.sys.advance(0);
    expect(guest.sys.journal.slice(-4, -2)).toEqual(['sync', 'unmount /run/disks/0 (lazy)']);
  });

  it('reaps orphans without a word', () => {
    guest.sys.endProcess(9999);
    expect(exits()).toEqual([]);
    expect(guest.sys.console).toEqual([]);
  });

  it('tells a kill for want of memory', () => {
    guest.sys.writeFile(`${cgroup}/memory.events`, 'oom 1\noom_kill 1\n');
    guest.sys.firePriorityEvent(`${cgroup}/memory.events`);
    guest.sys.firePriorityEvent(`${cgroup}/memory.events`);
    expect(guest.events()).toEqual([{ type: 'event', event: 'oom', containerId: 'c1' }]);
    guest.drain(2, 3);
    guest.sys.endProcess(pid, { signal: 9 });
    expect(exits()[0]).toMatchObject({ exit: { exitCode: 137, signal: 9, oomKilled: true } });
  });

  it('finds a kill for want of memory out when its event has not come yet', () => {
    guest.sys.writeFile(`${cgroup}/memory.events`, 'oom_kill 1');
    guest.drain(2, 3);
    guest.sys.endProcess(pid, { signal: 9 });
    expect(guest.events().map((event) => event.event)).toEqual(['oom', 'exit']);
  });
});

describe('a further process', () => {
  it('joins the namespaces, the cgroup and the root of the container', async () => {
    guest.sys.writeFile(`/proc/${String(pid)}/cgroup`, '0::/containers/c1/init\n');
    expect(await startExec()).toEqual({ pid: 41 });
    expect(guest.sys.spawned[1]).toMatchObject({
      namespaces: { kind: 'join', pid },
      cgroup: `${cgroup}/init`,
      executable: '/bin/sh',
      init: false,
    });
  });

  it('is told as ended when another process keeps its output open', async () => {
    await startExec();
    guest.sys.endProcess(41, { exitCode: 7 });
    guest.sys.advance(199);
    expect(exits()).toEqual([]);
    guest.sys.advance(1);
    expect(exits()[0]).toMatchObject({ execId: 'e1', exit: { exitCode: 7 } });
    expect(guest.sys.channel.sources.has(12)).toBe(true);
  });

  it('runs without a terminal when nobody takes its output', async () => {
    await startExec({ tty: true, streams: { stdin: null, stdout: null, stderr: null } });
    expect(guest.sys.spawned[1]).toMatchObject({ terminal: null, stdout: 'null' });
  });

  it('is blamed on memory only when it was killed', async () => {
    await startExec();
    guest.sys.writeFile(`${cgroup}/memory.events`, 'oom_kill 1');
    guest.drain(12, 13);
    guest.sys.endProcess(41, { exitCode: 1 });
    expect(exits()[0]).toMatchObject({ exit: { oomKilled: false } });
  });

  it.each([
    ['an unknown container', { containerId: 'c9', execId: 'e1' }, 'NOT_FOUND'],
    ['an id in use', exec, 'INVALID_STATE'],
  ])('is refused for %s', async (_name, ref, code) => {
    await startExec();
    const process = processConfig({ streams: streams(21) });
    expect(await guest.request('exec', { ...ref, process })).toMatchObject({ code });
  });

  it('is refused while the container is paused, and once it has ended', async () => {
    await guest.request('pause', { containerId: 'c1' });
    expect(await startExec()).toEqual({
      code: 'INVALID_STATE',
      message: 'container c1 is paused',
    });
    await guest.request('resume', { containerId: 'c1' });
    guest.sys.endProcess(pid);
    expect(await startExec()).toEqual({
      code: 'INVALID_STATE',
      message: 'container c1 is not running',
    });
  });
});

describe('a running process', () => {
  it('gets signals, alone or with all of the container', async () => {
    await startExec();
    guest.sys.writeFile(`${cgroup}/cgroup.procs`, '40\n41\n');
    const before = guest.sys.journal.length;
    await guest.request('signal', { ...exec, signal: 2, all: false });
    guest.sys.failures.set('signal 40', new SysError('kill', 'ESRCH', 'gone'));
    await guest.request('signal', { ...first, signal: 15, all: true });
    expect(guest.sys.journal.slice(before)).toEqual(['signal 41 2', 'signal 41 15']);
  });

  it('is killed with all of its container through the cgroup', async () => {
    await guest.request('signal', { ...first, signal: 9, all: true });
    guest.drain(2, 3);
    expect(exits()[0]).toMatchObject({ exit: { signal: 9 } });
  });

  it.each(['signal', 'resize'] as const)('answers %s after its end', async (method) => {
    guest.sys.endProcess(pid);
    const params = { ...first, signal: 1, all: false, rows: 1, columns: 1 };
    expect(await guest.request(method, params)).toEqual({
      code: 'INVALID_STATE',
      message: 'container c1 has ended',
    });
  });

  it('resizes its terminal, if it has one, until it ends', async () => {
    await startExec({ tty: true, streams: { stdin: null, stdout: 12, stderr: null } });
    await guest.request('resize', { ...exec, rows: 50, columns: 132 });
    expect(guest.sys.journal).toContain('resize 413 50 132');
    guest.sys.endProcess(41);
    expect(guest.sys.journal).toContain('close terminal 413');
    expect(await guest.request('resize', { ...first, rows: 1, columns: 1 })).toMatchObject({
      code: 'INVALID_STATE',
    });
  });

  it('is paused once everything stands still', async () => {
    guest.sys.failures.set(`write ${cgroup}/cgroup.freeze`, new SysError('write', 'EIO', ''));
    expect(await guest.request('pause', { containerId: 'c1' })).toMatchObject({ code: 'INTERNAL' });
    guest.sys.freezeDelayed = true;
    const id = guest.send('pause', { containerId: 'c1' });
    expect(await guest.answer(id)).toBeUndefined();
    guest.sys.writeFile(`${cgroup}/cgroup.events`, 'populated 1\nfrozen 1');
    guest.sys.firePriorityEvent(`${cgroup}/cgroup.events`);
    expect(await guest.answer(id)).toEqual({});
    guest.sys.freezeDelayed = false;
    expect(await guest.request('resume', { containerId: 'c1' })).toEqual({});
    expect(await guest.request('pause', { containerId: 'c1' })).toEqual({});
    expect(guest.sys.files.read(`${cgroup}/cgroup.freeze`)).toBe('1');
    expect(await guest.request('pause', { containerId: 'c1' })).toMatchObject({
      code: 'INVALID_STATE',
    });
    expect(await guest.request('resume', { containerId: 'c1' })).toEqual({});
    expect(await guest.request('resume', { containerId: 'c1' })).toMatchObject({
      code: 'INVALID_STATE',
    });
  });
});

describe('a container that does not stand still', () => {
  it('is thawed again, and the pause fails', async () => {
    guest.sys.freezeDelayed = true;
    const id = guest.send('pause', { containerId: 'c1' });
    await guest.answer(id);
    guest.sys.advance(2000);
    expect(await guest.answer(id)).toMatchObject({ code: 'INTERNAL' });
    expect(guest.sys.files.read(`${cgroup}/cgroup.freeze`)).toBe('0');
  });
});

describe('releasing a process', () => {
  it('closes the stdin of a running one', async () => {
    await guest.request('release', first);
    expect(guest.sys.channel.removed).toEqual([1]);
    expect(guest.connect().processes).toHaveLength(1);
  });

  it('forgets an ended one with its streams, and the id is free again', async () => {
    guest.drain(2, 3);
    guest.sys.endProcess(pid);
    await guest.request('release', first);
    expect(guest.sys.channel.sources.size).toBe(0);
    expect(guest.connect().processes).toEqual([]);
    expect(await guest.start(containerConfig())).toBe(41);
    expect(await guest.request('release', exec)).toMatchObject({ code: 'NOT_FOUND' });
  });
});
