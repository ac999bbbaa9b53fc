import { describe, expect, it } from 'vitest';

import type { ContainerConfig, HostConfig } from '../../../../hyperd/pod/docker-config.ts';
import { toContainerSpec } from '../../../../hyperd/pod/spec/container-spec.ts';
import { mergeConfig } from '../../../../hyperd/pod/spec/merge-config.ts';

const image = {
  User: 'app',
  Env: ['PATH=/opt/bin', 'MODE=image'],
  Entrypoint: ['/entry'],
  Cmd: ['serve'],
  WorkingDir: '/srv',
  Labels: { maker: 'image', kind: 'web' },
  ExposedPorts: { '80/tcp': {} },
  Volumes: {},
  StopSignal: 'SIGQUIT',
  Shell: null,
  Healthcheck: null,
  OnBuild: null,
};
const capacity = { cpus: 4, memoryMiB: 8192 };
const mebibyte = 1024 * 1024;

function merged(config: Partial<ContainerConfig> = {}): ContainerConfig {
  return mergeConfig({ Image: 'app', ...config }, image, 'c'.repeat(64));
}

function spec(config: Partial<ContainerConfig> = {}, host: HostConfig = {}) {
  return toContainerSpec(merged(config), host, capacity);
}

describe('merging with the image', () => {
  it('takes from the image what the user left open', () => {
    expect(spec()).toMatchObject({
      args: ['/entry', 'serve'],
      user: 'app',
      cwd: '/srv',
      stopSignal: 3,
      hostname: 'c'.repeat(12),
    });
  });

  it.each([
    [{ Cmd: ['sh'] }, ['/entry', 'sh']],
    [{ Entrypoint: ['/mine'] }, ['/mine']],
    [{ Entrypoint: ['/mine'], Cmd: ['a'] }, ['/mine', 'a']],
    [{ Entrypoint: [''], Cmd: ['sh'] }, ['sh']],
    [{ Cmd: [] }, ['/entry', 'serve']],
  ] as const)('%j runs %j', (config, args) => {
    expect(spec(config).args).toEqual(args);
  });

  it('lets the user’s variables win, and a bare name remove one', () => {
    const { env } = spec({ Env: ['MODE=user', 'HOSTNAME', 'EMPTY='], Tty: true });

    expect(env).toEqual(['PATH=/opt/bin', 'TERM=xterm', 'MODE=user', 'EMPTY=']);
  });

  it('joins labels and ports', () => {
    const { Labels, ExposedPorts } = merged({
      Labels: { maker: 'user' },
      ExposedPorts: { '90/udp': {} },
    });

    expect(Labels).toEqual({ maker: 'user', kind: 'web' });
    expect(ExposedPorts).toEqual({ '80/tcp': {}, '90/udp': {} });
  });

  it('refuses a container without any command', () => {
    const bare = { ...image, Entrypoint: null, Cmd: null };
    const config = mergeConfig({ Image: 'app' }, bare, 'c'.repeat(64));

    expect(() => toContainerSpec(config, {}, capacity)).toThrow('no command specified');
  });
});

describe('limits', () => {
  it('size the VM: the container’s memory and processors, and what the guest needs itself', () => {
    const { machine, resources } = spec({}, { Memory: 256 * mebibyte, NanoCpus: 1.5e9 });

    expect(machine.vcpus).toBe(2);
    expect(machine.memoryMiB).toBeGreaterThan(256 + 64);
    expect(machine.memoryMiB).toBeLessThan(256 + 96);
    expect(resources).toMatchObject({
      memoryBytes: 256 * mebibyte,
      memorySwapBytes: 512 * mebibyte,
      cpuQuotaMicros: 150_000,
      cpuPeriodMicros: 100_000,
    });
  });

  it('are generous when none are given', () => {
    expect(spec().machine).toEqual({ memoryMiB: 2048, vcpus: 4 });
    expect(toContainerSpec(merged(), {}, { cpus: 1, memoryMiB: 1000 }).machine).toEqual({
      memoryMiB: 500,
      vcpus: 1,
    });
  });

  it.each([
    [2, 1],
    [1024, 39],
    [262_144, 10_000],
  ])('turn %i CPU shares into the weight %i', (CpuShares, cpuWeight) => {
    expect(spec({}, { CpuShares }).resources.cpuWeight).toBe(cpuWeight);
  });

  it.each([
    [{ Memory: 1 }, 'Minimum memory limit allowed is 6MB'],
    [{ MemorySwap: 8 * mebibyte }, 'You should always set the Memory limit'],
    [{ Memory: 9 * mebibyte, MemorySwap: 8 * mebibyte }, 'should be larger than memory limit'],
    [{ NanoCpus: 5e9 }, 'Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available'],
    [{ NanoCpus: 1e9, CpuQuota: 5000 }, 'Nano CPUs and CPU Quota cannot both be set'],
    [{ CpuPeriod: 10 }, 'CPU cfs period cannot be less than 1ms'],
    [{ CpusetCpus: '0-9' }, 'Requested CPUs are not available - requested 0-9, available: 0-3'],
    [{ OomScoreAdj: 2000 }, 'Invalid value 2000, range for oom score adj is [-1000, 1000]'],
    [{ ShmSize: -1 }, 'SHM size can not be less than 0'],
    [{ StorageOpt: { size: 'much' } }, "invalid size: 'much'"],
    [{ StorageOpt: { speed: '1' } }, 'Unknown storage option: speed'],
    [{ RestartPolicy: { Name: 'never' } }, "unknown policy 'never'"],
    [{ AutoRemove: true, RestartPolicy: { Name: 'always' } }, "can't create 'AutoRemove'"],
    [{ ExtraHosts: ['nonsense'] }, 'bad format for add-host: "nonsense"'],
    [{ ExtraHosts: ['a:b'] }, 'invalid IP address in add-host: "b"'],
    [{ PortBindings: { 'x/tcp': [] } }, 'invalid port specification: "x/tcp"'],
    [{ IpcMode: 'host' }, 'not supported by Hyper yet: HostConfig.IpcMode "host"'],
    [{ NetworkMode: 'mine' }, 'not supported by Hyper yet: HostConfig.NetworkMode "mine"'],
    [{ SecurityOpt: ['no-new-privileges=maybe'] }, 'invalid --security-opt 2'],
    [{ SecurityOpt: ['apparmor=mine'] }, 'neither AppArmor nor SELinux'],
  ] as const)('%j is refused: %s', (host, message) => {
    expect(() => spec({}, host)).toThrow(message);
  });
});

describe('confinement', () => {
  it('is Docker’s by default', () => {
    const { capabilities, maskedPaths, readonlyPaths, seccomp, noNewPrivileges } = spec();

    expect(capabilities).toHaveLength(14);
    expect(capabilities).toContain('CAP_NET_BIND_SERVICE');
    expect(maskedPaths).toContain('/proc/kcore');
    expect(readonlyPaths).toContain('/proc/sys');
    expect(seccomp).toEqual({ kind: 'default' });
    expect(noNewPrivileges).toBe(false);
  });

  it('falls when the container is privileged', () => {
    const privileged = spec({}, { Privileged: true });

    expect(privileged.capabilities).toContain('CAP_SYS_ADMIN');
    expect(privileged).toMatchObject({ maskedPaths: [], readonlyPaths: [], seccomp: null });
  });

  it.each([
    [{ CapDrop: ['ALL'], CapAdd: ['net_admin'] }, ['CAP_NET_ADMIN']],
    [{ CapDrop: ['ALL'] }, []],
  ] as const)('with %j has the capabilities %j', (host, capabilities) => {
    expect(spec({}, host).capabilities).toEqual(capabilities);
  });

  it('takes names with and without CAP_, and drops what is named', () => {
    const { capabilities } = spec({}, { CapAdd: ['ALL'], CapDrop: ['CAP_MKNOD', 'kill'] });

    expect(capabilities).toHaveLength(39);
    expect(capabilities).not.toContain('CAP_MKNOD');
  });

  it.each([
    ['no-new-privileges', { noNewPrivileges: true }],
    ['no-new-privileges:true', { noNewPrivileges: true }],
    ['seccomp=unconfined', { seccomp: null }],
    ['seccomp={"a":1}', { seccomp: { kind: 'profile', json: '{"a":1}' } }],
    ['systempaths=unconfined', { maskedPaths: [], readonlyPaths: [] }],
    ['label=disable', {}],
    ['apparmor=unconfined', {}],
  ])('honours --security-opt %s', (option, expected) => {
    expect(spec({}, { SecurityOpt: [option] })).toMatchObject(expected);
  });
});

describe('published ports', () => {
  it('are read with address and host port', () => {
    const { ports } = spec(
      {},
      { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }], '53/udp': [{}] } },
    );

    expect(ports).toEqual([
      { protocol: 'tcp', containerPort: 80, hostAddress: '127.0.0.1', hostPort: 8080 },
      { protocol: 'udp', containerPort: 53, hostAddress: '', hostPort: 0 },
    ]);
  });

  it('are all exposed ones with -P, and none without a network', () => {
    expect(spec({}, { PublishAllPorts: true }).ports).toEqual([
      { protocol: 'tcp', containerPort: 80, hostAddress: '', hostPort: 0 },
    ]);
    expect(spec({}, { PublishAllPorts: true, NetworkMode: 'none' }).ports).toEqual([]);
  });
});
