import { describe, expect, it } from 'vitest';

import { countCpus, parseInterfaceCounters } from '../../../hyperstart/stats.ts';
import { GuestBench } from '../../support/guest-bench.ts';

const cgroup = '/sys/fs/cgroup/containers/c1';

describe('the statistics of a container', () => {
  it('come from its cgroup', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.start();
    const { files } = guest.sys;
    files.put(`${cgroup}/memory.current`, '5000\n');
    files.put(`${cgroup}/memory.max`, '9000\n');
    files.put(`${cgroup}/memory.stat`, 'anon 1\ninactive_file 700\n');
    files.put(
      `${cgroup}/cpu.stat`,
      'usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_throttled 2\nthrottled_usec 8\n',
    );
    files.put(`${cgroup}/pids.current`, '3\n');
    files.put(`${cgroup}/io.stat`, '254:0 rbytes=10 wbytes=20 rios=1\n254:16 rbytes=1 wbytes=2\n');
    files.put('/sys/devices/system/cpu/online', '0-1\n');
    files.put('/proc/net/dev', '');
    expect(await guest.request('stats', { containerId: 'c1' })).toEqual({
      memoryBytes: 5000,
      memoryMaxBytes: 9000,
      memoryInactiveFileBytes: 700,
      cpuUsageMicros: 30,
      cpuUserMicros: 20,
      cpuSystemMicros: 10,
      throttledPeriods: 2,
      throttledMicros: 8,
      pids: 3,
      pidsMax: null,
      onlineCpus: 2,
      interfaces: [],
      blockReadBytes: 11,
      blockWriteBytes: 22,
    });
  });

  it('are all zero where the kernel tells nothing', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.start();
    expect(await guest.request('stats', { containerId: 'c1' })).toMatchObject({
      cpuUsageMicros: 0,
      onlineCpus: 1,
      interfaces: [],
    });
  });

  it.each([
    ['0', 1],
    ['0-3', 4],
    ['0-1,4,6-7', 5],
  ])('count the processors of "%s"', (list, count) => {
    expect(countCpus(list)).toBe(count);
  });

  it('read the counters of interfaces other than lo', () => {
    const text = [
      'Inter-|   Receive                                                |  Transmit',
      ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs',
      '    lo:     100       1    0    0    0     0          0         0      100       1    0',
      '  eth0:    1000      10    1    2    0     0          0         0     2000      20    3 4',
    ].join('\n');
    expect(parseInterfaceCounters(text)).toEqual([
      {
        name: 'eth0',
        rxBytes: 1000,
        rxPackets: 10,
        rxErrors: 1,
        rxDropped: 2,
        txBytes: 2000,
        txPackets: 20,
        txErrors: 3,
        txDropped: 4,
      },
    ]);
  });
});

describe('the processes of a container', () => {
  it('are listed with parents, owner, command, time and start', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.start();
    const { files } = guest.sys;
    files.put(`${cgroup}/cgroup.procs`, '40\n41\n42\n');
    files.put('/proc/stat', 'cpu 1 2 3\nbtime 1000\n');
    const fields = 'S 1 0 0 0 0 0 0 0 0 0 7 5 0 0 20 0 1 0 250 0';
    files.put('/proc/40/stat', `40 (a) (b c) ${fields}`);
    files.put('/proc/40/status', 'Name:\ta\nUid:\t33\t33\t33\t33\n');
    files.put('/proc/40/cmdline', 'sleep\x00100\x00');
    files.put('/proc/41/stat', `41 (kworker) ${fields}`);
    files.put('/proc/41/status', 'Uid:\t0\t0\t0\t0\n');
    files.put('/proc/41/cmdline', '');
    expect(await guest.request('processes', { containerId: 'c1' })).toEqual({
      processes: [
        {
          pid: 40,
          parentPid: 1,
          uid: 33,
          command: 'sleep 100',
          cpuMs: 120,
          startedUnixMs: 1_002_500,
        },
        {
          pid: 41,
          parentPid: 1,
          uid: 0,
          command: '[kworker]',
          cpuMs: 120,
          startedUnixMs: 1_002_500,
        },
      ],
    });
  });

  it('fit one message however long their command lines are', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.start();
    guest.sys.files.put(`${cgroup}/cgroup.procs`, '40\n');
    guest.sys.files.put('/proc/40/stat', '40 (x) S 1');
    guest.sys.files.put('/proc/40/status', 'Uid:\t0\n');
    guest.sys.files.put('/proc/40/cmdline', 'x'.repeat(2_000_000));
    const answer = await guest.request('processes', { containerId: 'c1' });
    const { processes } = answer as { processes: { command: string }[] };
    expect(processes[0]?.command).toHaveLength(4096);
  });

  it('are refused when there are too many for one message', async () => {
    const guest = new GuestBench();
    guest.connect();
    await guest.start();
    const { files } = guest.sys;
    const pids = Array.from({ length: 100 }, (_, index) => String(1000 + index));
    files.put(`${cgroup}/cgroup.procs`, pids.join('\n'));
    for (const pid of pids) {
      files.put(`/proc/${pid}/stat`, `${pid} (x) S 1`);
      files.put(`/proc/${pid}/status`, 'Uid:\t0\n');
      files.put(`/proc/${pid}/cmdline`, '\u4e16'.repeat(4096));
    }
    expect(await guest.request('processes', { containerId: 'c1' })).toEqual({
      code: 'INTERNAL',
      message: 'the answer is too long',
    });
  });
});
