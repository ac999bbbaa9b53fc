import { describe, expect, it } from 'vitest';

import { protocolVersion } from '../../../hyperstart/protocol/version.ts';
import { GuestBench, podConfig, containerConfig } from '../../support/guest-bench.ts';

describe('a session', () => {
  it('begins with a hello that tells version, boot and memory', () => {
    expect(new GuestBench().connect()).toEqual({
      type: 'hello',
      protocolVersion,
      kernelRelease: '6.12.0-fake',
      bootTimeline: { kernel: 90, mounts: 100, channel: 100 },
      memoryTotalKiB: 113000,
      memoryFreeKiB: 97000,
      processes: [],
    });
  });

  it('answers nothing before the hello', async () => {
    const guest = new GuestBench();
    expect(await guest.request('stats', { containerId: 'c1' })).toBeUndefined();
    expect(guest.sys.channel.sent).toEqual([]);
  });

  it('refuses every request of a host that speaks another version', async () => {
    const guest = new GuestBench();
    expect(guest.connect(protocolVersion + 1).protocolVersion).toBe(protocolVersion);
    const answer = await guest.request('start', { pod: podConfig(), container: containerConfig() });
    const message = `this agent speaks protocol ${String(protocolVersion)}`;
    expect(answer).toEqual({ code: 'INVALID_STATE', message });
    expect(guest.sys.spawned).toEqual([]);
    guest.connect();
    expect(await guest.start()).toBe(40);
  });

  it('lists to a later host what runs and what has ended but was not released', async () => {
    const guest = new GuestBench();
    guest.connect();
    const pid = await guest.start();
    guest.disconnect();
    expect(guest.connect().processes).toEqual([
      {
        containerId: 'c1',
        execId: null,
        streams: { stdin: 1, stdout: 2, stderr: 3 },
        exit: null,
      },
    ]);
    guest.disconnect();
    guest.sys.endProcess(pid, { exitCode: 5 });
    expect(guest.connect().processes[0]?.exit).toBeNull();
    guest.disconnect();
    guest.drain(2, 3);
    expect(guest.events()).toEqual([]);
    expect(guest.connect().processes[0]?.exit).toEqual({
      exitCode: 5,
      signal: null,
      oomKilled: false,
    });
  });

  it('cancels what an earlier host has asked for, and answers it to nobody', async () => {
    const guest = new GuestBench();
    guest.connect();
    const rootfs = { layers: ['late'], writableDisk: 'disk-c1', readOnly: false };
    const id = guest.send('start', { pod: podConfig(), container: containerConfig({ rootfs }) });
    guest.disconnect();
    guest.connect();
    guest.sys.plugDisk('vdz', 'late');
    expect(await guest.answer(id)).toBeUndefined();
    expect(guest.sys.spawned).toEqual([]);
  });

  it('answers a message that it cannot read when the message has an id', async () => {
    const guest = new GuestBench();
    guest.connect();
    guest.deliver('{"type":"request","id":7,"method":"fly","params":{}}');
    expect(await guest.answer(7)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    guest.deliver('{"type":"request","id":8,"method":"stats","params":{"containerId":5}}');
    expect(await guest.answer(8)).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each(['', '{', 'null', '[]', '{"type":"hello"}', '{"type":"cancel","id":99}'])(
    'outlives the message %s',
    async (text) => {
      const guest = new GuestBench();
      guest.connect();
      guest.deliver(text);
      expect(await guest.start()).toBe(40);
    },
  );

  it('answers INTERNAL when a handler has a bug, and goes on', async () => {
    const guest = new GuestBench();
    guest.connect();
    guest.sys.failures.set('setHostname', new TypeError('undefined is not a function'));
    const params = { pod: podConfig(), container: containerConfig() };
    expect(await guest.request('start', params)).toEqual({
      code: 'INTERNAL',
      message: 'start: undefined is not a function',
    });
    expect(guest.sys.console.join('\n')).toContain('start failed unexpectedly');
    expect(await guest.request('start', params)).toMatchObject({ pid: 40 });
  });

  it('tells memory pressure', () => {
    const guest = new GuestBench();
    guest.connect();
    guest.sys.firePriorityEvent('/proc/pressure/memory');
    expect(guest.events()).toEqual([
      { type: 'event', event: 'pressure', resource: 'memory', someAvg10: 12.5 },
    ]);
  });

  it('keeps an event that cannot be handled from ending PID 1', () => {
    const guest = new GuestBench();
    guest.connect();
    guest.sys.files.removeFile('/proc/pressure/memory');
    guest.sys.firePriorityEvent('/proc/pressure/memory');
    expect(guest.sys.console[0]).toContain('handling a memory pressure event failed');
  });
});

describe('shutting down', () => {
  it('kills, unmounts and syncs, answers, then powers off', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.start();
    expect(await guest.request('shutdown', {})).toEqual({});
    expect(guest.sys.mounts.some((mount) => mount.type === 'ext4')).toBe(false);
    expect(guest.sys.journal.at(-1)).toBe('sync');
    guest.sys.advance(20);
    expect(guest.sys.isOff).toBe(true);
  });

  it('powers off as soon as the host has hung up', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.request('shutdown', {});
    expect(() => {
      guest.disconnect();
    }).not.toThrow();
    expect(guest.sys.isOff).toBe(true);
  });

  it('does not wait for ever for a process that cannot be killed', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.start();
    guest.sys.failures.set(
      'write /sys/fs/cgroup/containers/c1/cgroup.kill',
      new TypeError('stuck'),
    );
    const id = guest.send('shutdown', {});
    expect(await guest.answer(id)).toBeUndefined();
    guest.sys.advance(5000);
    expect(await guest.answer(id)).toEqual({});
  });

  it('starts nothing any more', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.request('shutdown', {});
    const params = { pod: podConfig(), container: containerConfig() };
    expect(await guest.request('start', params)).toEqual({
      code: 'INVALID_STATE',
      message: 'the VM is shutting down',
    });
  });
});
