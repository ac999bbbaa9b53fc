import { once } from 'node:events';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type StatsAnswer, toStatsRow } from '../../../hyper-cli/output/stats.ts';
import { type FakeApi, startFakeApi } from '../../support/fake-api.ts';
import { runHyper, startHyper } from '../../support/hyper-cli.ts';

const running: StatsAnswer = {
  id: '0123456789abcdef',
  name: '/web',
  cpu_stats: { cpu_usage: { total_usage: 1500 }, system_cpu_usage: 4000, online_cpus: 2 },
  precpu_stats: { cpu_usage: { total_usage: 500 }, system_cpu_usage: 2000, online_cpus: 2 },
  memory_stats: { usage: 3 * 1024 ** 2, limit: 1024 ** 3, stats: { inactive_file: 1024 ** 2 } },
  pids_stats: { current: 7 },
  blkio_stats: {
    io_service_bytes_recursive: [
      { op: 'read', value: 10 },
      { op: 'write', value: 2000 },
    ],
  },
  networks: { eth0: { rx_bytes: 1, tx_bytes: 3 }, eth1: { rx_bytes: 5, tx_bytes: 7 } },
  hyper: { host_memory_bytes: 40 * 1024 ** 2 },
};

describe('a row of stats', () => {
  it('has the use of the guest and the cost of the host side by side', () => {
    const { fields, cells } = toStatsRow(running);
    expect(fields).toEqual({
      ID: '0123456789ab',
      Name: 'web',
      CpuPercent: 100,
      MemoryBytes: 2 * 1024 ** 2,
      MemoryLimitBytes: 1024 ** 3,
      HostMemoryBytes: 40 * 1024 ** 2,
      NetworkReceivedBytes: 6,
      NetworkSentBytes: 10,
      BlockReadBytes: 10,
      BlockWrittenBytes: 2000,
      Pids: 7,
    });
    expect(cells).toEqual({
      'CONTAINER ID': '0123456789ab',
      NAME: 'web',
      'CPU %': '100.00%',
      'GUEST MEM / LIMIT': '2MiB / 1GiB',
      'HOST MEM': '40MiB',
      'NET I/O': '6B / 10B',
      'BLOCK I/O': '10B / 2kB',
      PIDS: '7',
    });
  });

  it('of a first sample has no share of the processors', () => {
    const { fields } = toStatsRow({ ...running, precpu_stats: running.cpu_stats });
    expect(fields).toMatchObject({ CpuPercent: 0 });
  });

  it('of a container that does not run has dashes, and null in JSON', () => {
    const empty = { cpu_usage: { total_usage: 0 } };
    const { fields, cells } = toStatsRow({
      ...{ id: 'abc', name: '/idle', cpu_stats: empty, precpu_stats: empty },
      ...{ memory_stats: {}, pids_stats: {} },
      blkio_stats: { io_service_bytes_recursive: null },
    });
    expect(fields).toMatchObject({ Name: 'idle', CpuPercent: null, HostMemoryBytes: null });
    expect(cells).toMatchObject({ NAME: 'idle', 'CPU %': '-', 'HOST MEM': '-', PIDS: '-' });
  });
});

describe('hyper stats', () => {
  let api: FakeApi;
  let socket: string;

  beforeEach(async () => {
    api = await startFakeApi();
    socket = await api.listenUnix();
    await runHyper(socket, ['run', '-d', '--name', 'web', 'busybox', 'sleep', '60']);
    await runHyper(socket, ['create', '--name', 'idle', 'busybox']);
  });

  afterEach(async () => {
    await api[Symbol.asyncDispose]();
  });

  it('shows every container that runs', async () => {
    const { code, stdout } = await runHyper(socket, ['stats', '--no-stream']);
    const [header = '', row = '', ...rest] = stdout.split('\n');
    expect(header).toMatch(/^CONTAINER ID +NAME +CPU % +GUEST MEM \/ LIMIT +HOST MEM +NET I\/O/);
    expect(row.replace(/ +/g, ' ')).toContain(
      ' web 0.00% 3.81MiB / 128MiB 38.1MiB 1B / 3B 10B / 20B 1',
    );
    expect({ code, rest }).toEqual({ code: 0, rest: [''] });
  });

  it('shows those that are named, as JSON', async () => {
    const { stdout } = await runHyper(socket, ['stats', '--no-stream', '--json', 'idle', 'web']);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(rows).toMatchObject([
      { Name: 'idle', MemoryBytes: null },
      { Name: 'web', MemoryBytes: 4_000_000, HostMemoryBytes: 40_000_000 },
    ]);
  });

  it('refuses a name that nobody has', async () => {
    const { code, stderr } = await runHyper(socket, ['stats', 'web', 'nobody']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'hyper: No such container: nobody\n' });
  });

  it('goes on until the container that is named has been removed', async () => {
    const stats = startHyper(socket, ['stats', '--json', 'web']);
    const closed = once(stats, 'close');
    let rows = '';
    stats.stdout?.on('data', (chunk: Buffer) => {
      rows += chunk.toString();
    });
    await expect.poll(() => rows.split('\n').length, { timeout: 10_000 }).toBeGreaterThan(2);
    await api.containers.remove('web', { force: true });
    expect(await closed).toEqual([0, null]);
  });
});
