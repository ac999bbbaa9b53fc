import { beforeEach, describe, expect, it } from 'vitest';

import { deviceProgram } from '../../../hyperstart/device-program.ts';
import { MountFlag } from '../../../hyperstart/mount-flags.ts';
import type { NewNamespaces } from '../../../hyperstart/sys/sys.ts';
import { SpawnError, SysError } from '../../../hyperstart/sys/sys.ts';
import { imagePath } from '../../support/fake-sys.ts';
import {
  containerConfig,
  GuestBench,
  podConfig,
  processConfig,
  streams,
} from '../../support/guest-bench.ts';

const rootfs = '/run/containers/c1/rootfs';

let guest: GuestBench;
beforeEach(() => {
  guest = new GuestBench();
  guest.connect();
});

function namespaces(): NewNamespaces {
  const found = guest.sys.spawned[0]?.namespaces;
  if (found?.kind !== 'new') throw new Error('no container was started');
  return found;
}

function mountAt(target: string) {
  return namespaces().mounts.find((mount) => mount.target === target);
}

describe('starting a container', () => {
  it('gives the VM its identity, mounts disks before the overlay, and starts the process last', async () => {
    const booted = guest.sys.journal.length;
    expect(await guest.start()).toBe(40);
    expect(guest.sys.journal.slice(booted)).toEqual([
      'entropy c2VlZA==',
      'clock 1000000000000',
      'hostname pod',
      'mount erofs /dev/vda /run/layers/0',
      'mount erofs /dev/vdb /run/layers/1',
      'mount ext4 /dev/vdc /run/disks/0',
      `mount overlay overlay ${rootfs}`,
      'up 1 65536',
      'limit devices of /sys/fs/cgroup/containers/c1',
      'mount tmpfs tmpfs /run/containers/c1/dev',
      'spawn sh',
    ]);
  });

  it('hands the layers to overlayfs with the topmost first', async () => {
    await guest.start();
    const overlay = guest.sys.mounts.find((mount) => mount.type === 'overlay');
    expect(overlay?.data).toBe(
      'lowerdir=/run/layers/1:/run/layers/0,upperdir=/run/disks/0/upper,workdir=/run/disks/0/work,xino=on',
    );
    expect(guest.sys.files.exists('/run/disks/0/work')).toBe(true);
  });

  it('mounts a rootfs of one layer and one of 127 layers', async () => {
    const serials = Array.from({ length: 127 }, (_, index) => `layer-${String(index)}`);
    for (const [index, serial] of serials.entries()) {
      guest.sys.plugDisk(`vdx${String(index)}`, serial);
    }
    const writable = { writableDisk: 'disk-c1', readOnly: false };
    await guest.start(containerConfig({ rootfs: { layers: serials, ...writable } }));
    const many = guest.sys.mounts.find((mount) => mount.type === 'overlay')?.data ?? '';
    expect(many.length).toBeLessThan(4096);
    expect(many.startsWith('lowerdir=/run/layers/126:/run/layers/125:')).toBe(true);
    const single = { layers: ['layer-0'], writableDisk: 'disk-c2', readOnly: true };
    const process = processConfig({ streams: streams(10) });
    await guest.start(containerConfig({ id: 'c2', rootfs: single, process }));
    const one = guest.sys.mounts.findLast((mount) => mount.type === 'overlay')?.data;
    expect(one).toContain('lowerdir=/run/layers/0,upperdir=/run/disks/1/upper');
  });

  it('mounts a layer once for all containers of the pod', async () => {
    await guest.start();
    const config = containerConfig({ id: 'c2', process: processConfig({ streams: streams(10) }) });
    await guest.start({ ...config, rootfs: { ...config.rootfs, writableDisk: 'disk-c2' } });
    expect(guest.sys.mounts.filter((mount) => mount.type === 'erofs')).toHaveLength(2);
    expect(guest.sys.mounts.filter((mount) => mount.type === 'ext4')).toHaveLength(2);
  });

  it('mounts the default filesystems of Docker inside', async () => {
    await guest.start();
    expect(namespaces().mounts.map((mount) => mount.target)).toEqual([
      '/proc',
      '/dev',
      '/dev/pts',
      '/sys',
      '/sys/fs/cgroup',
      '/dev/mqueue',
      '/dev/shm',
      '/etc/hosts',
      '/etc/hostname',
      '/etc/resolv.conf',
    ]);
    expect((mountAt('/sys')?.flags ?? 0) & MountFlag.readOnly).toBe(MountFlag.readOnly);
    expect(mountAt('/dev/shm')?.data).toBe('mode=1777,size=67108864');
    expect(guest.sys.files.read('/run/containers/c1/hostname')).toBe('web\n');
  });

  it('limits devices by the rules that it is given', async () => {
    const deviceRules = [{ type: 'block', major: 254, minor: 3, access: 'r' }] as const;
    await guest.start(containerConfig({ deviceRules }));
    const program = guest.sys.devicePrograms.get('/sys/fs/cgroup/containers/c1');
    expect(program).toEqual(deviceProgram(deviceRules));
  });

  it('fills /dev with the default devices, usable by everyone', async () => {
    await guest.start();
    const names = guest.sys.readDirectory('/run/containers/c1/dev');
    expect([...names].sort()).toEqual(
      [
        ...['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'fd'],
        ...['stdin', 'stdout', 'stderr', 'core', 'pts', 'shm', 'mqueue'],
      ].sort(),
    );
    expect(guest.sys.fileStatus('/run/containers/c1/dev/null')).toMatchObject({
      mode: 0o020666,
      major: 1,
      minor: 3,
    });
  });

  it('gives a privileged container the devices of the VM, but not the channel of the agent', async () => {
    guest.sys.files.putNode('/dev/vda', 0o060660, 254, 0);
    guest.sys.files.putNode('/dev/net/tun', 0o020666, 10, 200);
    guest.sys.files.putNode('/dev/vport1p1', 0o020600, 250, 1);
    await guest.start(containerConfig({ privileged: true }));
    const names = guest.sys.readDirectory('/run/containers/c1/dev');
    expect(names).toContain('vda');
    expect(names).not.toContain('vport1p1');
    expect(guest.sys.fileStatus('/run/containers/c1/dev/net/tun')?.minor).toBe(200);
    expect((mountAt('/sys/fs/cgroup')?.flags ?? 0) & MountFlag.readOnly).toBe(0);
  });

  it('mounts tmpfs by depth, with the mode of the directory that it covers', async () => {
    guest.sys.files.putDirectory(`${imagePath}/run`, 0o755);
    const mounts = [
      { type: 'tmpfs', target: '/run/lock', options: ['size=1m'] },
      { type: 'tmpfs', target: '/run/', options: ['rw', 'exec'] },
      { type: 'tmpfs', target: '/dev/shm', options: ['size=5m'] },
    ] as const;
    await guest.start(containerConfig({ mounts }));
    expect(namespaces().mounts.slice(6, 9)).toMatchObject([
      { target: '/run', data: 'mode=755', flags: MountFlag.noSuid | MountFlag.noDev },
      { target: '/run/lock', data: 'size=1m' },
      { target: '/dev/shm', data: 'size=5m' },
    ]);
  });

  it('passes the rest of the configuration on', async () => {
    const config = containerConfig({
      sysctls: { 'net.ipv4.ip_forward': '1' },
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      domainname: 'example.org',
      init: true,
      process: processConfig({
        rlimits: [{ type: 'nofile', soft: 1024, hard: -1 }],
        capabilities: ['CAP_CHOWN', 'CAP_SYS_ADMIN', 'CAP_BPF'],
        seccompProgram: 'AAAA',
        noNewPrivileges: true,
        oomScoreAdj: 500,
      }),
    });
    await guest.start(config);
    expect(guest.sys.spawned[0]).toMatchObject({
      executable: '/bin/sh',
      env: ['PATH=/bin', 'HOME=/root'],
      rlimits: [{ resource: 7, soft: 1024, hard: -1 }],
      capabilitiesLow: 1 + 2 ** 21,
      capabilitiesHigh: 2 ** (39 - 32),
      seccompProgram: 'AAAA',
      noNewPrivileges: true,
      oomScoreAdj: 500,
      init: true,
      cgroup: '/sys/fs/cgroup/containers/c1',
    });
    expect(namespaces()).toMatchObject({
      hostname: 'web',
      domainname: 'example.org',
      sysctls: [['net.ipv4.ip_forward', '1']],
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      root: rootfs,
    });
  });

  it('makes the working directory when it is missing', async () => {
    await guest.start(containerConfig({ process: processConfig({ cwd: '/srv/app' }) }));
    expect(guest.sys.files.exists(`${rootfs}/srv/app`)).toBe(true);
    expect(guest.sys.files.openedPaths).toEqual([]);
  });

  it('connects stdio with the streams', async () => {
    await guest.start();
    expect([...guest.sys.channel.sinks]).toEqual([[1, { fd: 400, isTerminal: false }]]);
    expect([...guest.sys.channel.sources]).toEqual([
      [2, 401],
      [3, 402],
    ]);
  });

  it('connects both directions of a terminal', async () => {
    const process = processConfig({ tty: true, streams: { stdin: 1, stdout: 2, stderr: null } });
    await guest.start(containerConfig({ process }));
    expect(guest.sys.channel.sinks.get(1)).toEqual({ fd: 403, isTerminal: true });
    expect(guest.sys.channel.sources.get(2)).toBe(403);
    expect(guest.sys.spawned[0]?.terminal).toEqual({ rows: 24, columns: 80 });
  });
});

describe('a start that waits for its disks', () => {
  it('goes on as soon as the last one is plugged', async () => {
    const config = containerConfig();
    const rootfsConfig = { ...config.rootfs, writableDisk: 'disk-late' };
    const id = guest.send('start', {
      pod: podConfig(),
      container: { ...config, rootfs: rootfsConfig },
    });
    expect(await guest.answer(id)).toBeUndefined();
    guest.sys.plugDisk('vdz', 'disk-late');
    expect(await guest.answer(id)).toMatchObject({ pid: 40 });
  });

  it('ends with a clear error after ten seconds', async () => {
    const config = containerConfig();
    const rootfsConfig = { ...config.rootfs, layers: ['layer-base', 'gone-1', 'gone-2'] };
    const id = guest.send('start', {
      pod: podConfig(),
      container: { ...config, rootfs: rootfsConfig },
    });
    await guest.answer(id);
    guest.sys.advance(10_000);
    expect(await guest.answer(id)).toEqual({
      code: 'NOT_FOUND',
      message: 'disks gone-1, gone-2 did not appear within 10 s',
    });
  });

  it('can be cancelled, and the container started anew', async () => {
    const config = containerConfig();
    const rootfsConfig = { ...config.rootfs, writableDisk: 'gone' };
    const id = guest.send('start', {
      pod: podConfig(),
      container: { ...config, rootfs: rootfsConfig },
    });
    await guest.answer(id);
    guest.cancel(id);
    expect(await guest.answer(id)).toMatchObject({ code: 'CANCELLED' });
    expect(await guest.request('start', { pod: podConfig(), container: config })).toMatchObject({
      pid: 40,
    });
  });
});

describe('a start that fails', () => {
  const failures: readonly (readonly [string, (bench: GuestBench) => void, string])[] = [
    [
      'a layer that does not mount',
      ({ sys }) => {
        sys.failures.set('mount /run/layers/1', new SysError('mount', 'EINVAL', 'bad superblock'));
      },
      'mounting disk layer-top (/dev/vdb, erofs): bad superblock',
    ],
    [
      'an overlay that does not mount',
      ({ sys }) => {
        sys.failures.set(`mount ${rootfs}`, new SysError('mount', 'ENOSPC', 'no space'));
      },
      'joining 2 layers by overlayfs: no space',
    ],
    [
      'a device program that the kernel refuses',
      ({ sys }) => {
        sys.failures.set('limitDevices', new SysError('load the program', 'EINVAL', 'invalid'));
      },
      'limiting devices: load the program: invalid',
    ],
    [
      'a process that does not start',
      ({ sys }) => {
        sys.failures.set('spawn', new SpawnError('execve', 'ENOEXEC', 'Exec format error'));
      },
      'exec /bin/sh: exec format error',
    ],
  ];

  it.each(failures)('leaves nothing behind: %s', async (_name, prepare, message) => {
    const mounted = guest.sys.mounts.length;
    prepare(guest);
    const answer = await guest.request('start', { pod: podConfig(), container: containerConfig() });
    expect(answer).toMatchObject({ message });
    expect(guest.sys.mounts).toHaveLength(mounted);
    expect(guest.sys.files.exists('/run/containers/c1')).toBe(false);
    expect(guest.sys.files.exists('/sys/fs/cgroup/containers/c1')).toBe(false);
    expect(guest.sys.files.openedPaths).toEqual([]);
    expect(await guest.request('start', { pod: null, container: containerConfig() })).toMatchObject(
      { pid: expect.any(Number) as number },
    );
  });

  it.each([
    ['ENOENT', 'COMMAND_NOT_FOUND', 'exec /bin/sh: no such file or directory'],
    ['EACCES', 'COMMAND_NOT_EXECUTABLE', 'exec /bin/sh: permission denied'],
  ])('tells a failing execve apart: %s', async (errno, code, message) => {
    guest.sys.failures.set('spawn', new SpawnError('execve', errno, ''));
    const answer = await guest.request('start', { pod: podConfig(), container: containerConfig() });
    expect(answer).toEqual({ code, message });
  });

  it.each([
    ['../c1', 'invalid container id'],
    ['', 'invalid container id'],
  ])('refuses the id "%s"', async (id, message) => {
    const container = containerConfig({ id });
    const answer = await guest.request('start', { pod: podConfig(), container });
    expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((answer as { message: string }).message).toContain(message);
  });

  it('refuses a container that runs already, and a pod that is configured already', async () => {
    await guest.start();
    expect(await guest.request('start', { pod: null, container: containerConfig() })).toEqual({
      code: 'INVALID_STATE',
      message: 'container c1 was started already',
    });
    const second = { pod: podConfig(), container: containerConfig({ id: 'c2' }) };
    expect(await guest.request('start', second)).toEqual({
      code: 'INVALID_STATE',
      message: 'the pod is configured already',
    });
  });

  it('refuses a container without a configured pod, and streams that are in use', async () => {
    expect(await guest.request('start', { pod: null, container: containerConfig() })).toEqual({
      code: 'INVALID_STATE',
      message: 'the pod is not configured yet',
    });
    await guest.start();
    const container = containerConfig({ id: 'c2' });
    expect(await guest.request('start', { pod: null, container })).toEqual({
      code: 'INVALID_ARGUMENT',
      message: 'stream 1 is in use',
    });
  });
});
