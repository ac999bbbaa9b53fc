import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Command } from 'commander';
import { describe, expect, it, vi } from 'vitest';

import {
  createBody,
  parsePort,
  type RunOptions,
  sizeOf,
  withRunOptions,
} from '../../../hyper-cli/commands/run-options.ts';

interface Body {
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly [name: string]: unknown;
}

/** The body that `hyper run FLAGS busybox COMMAND…` creates a container with. */
function bodyOf(flags: readonly string[], command: readonly string[] = []): Body {
  const parser = withRunOptions(new Command('run')).option('-d, --detach').exitOverride();
  parser.parse(flags, { from: 'user' });
  return createBody('busybox', command, parser.opts<RunOptions>()) as Body;
}

describe('the body of a create request', () => {
  it('of a plain run has the image, its output attached, and nothing that was not asked for', () => {
    expect(bodyOf([])).toEqual({
      Image: 'busybox',
      Env: [],
      Labels: {},
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      AttachStdin: false,
      AttachStdout: true,
      AttachStderr: true,
      ExposedPorts: {},
      HostConfig: { PortBindings: {}, AutoRemove: false },
    });
  });

  it('attaches stdin, to be closed with us, only in the foreground', () => {
    const pick = ({ OpenStdin, StdinOnce, AttachStdin, AttachStdout }: Body) => ({
      OpenStdin,
      StdinOnce,
      AttachStdin,
      AttachStdout,
    });
    expect(pick(bodyOf(['-i']))).toEqual({
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      AttachStdout: true,
    });
    expect(pick(bodyOf(['-i', '-d']))).toEqual({
      OpenStdin: true,
      StdinOnce: false,
      AttachStdin: false,
      AttachStdout: false,
    });
  });

  it.each([
    [['-u', '1000:100'], { User: '1000:100' }],
    [['-w', '/srv'], { WorkingDir: '/srv' }],
    [['-h', 'box', '--domainname', 'example'], { Hostname: 'box', Domainname: 'example' }],
    [['--entrypoint', '/bin/init'], { Entrypoint: ['/bin/init'] }],
    [['--stop-signal', 'QUIT', '--stop-timeout', '7'], { StopSignal: 'QUIT', StopTimeout: 7 }],
    [['-t'], { Tty: true }],
    [['-l', 'a=b=c', '-l', 'bare'], { Labels: { a: 'b=c', bare: '' } }],
    [['-e', 'A=1', '-e', 'B='], { Env: ['A=1', 'B='] }],
  ])('puts %j where Docker has it', (flags, expected) => {
    expect(bodyOf(flags)).toMatchObject(expected);
  });

  it.each([
    [['--rm'], { AutoRemove: true }],
    [['-m', '512m', '--memory-swap', '-1'], { Memory: 512 * 1024 ** 2, MemorySwap: -1 }],
    [['--cpus', '1.5', '--cpu-shares', '512'], { NanoCpus: 1_500_000_000, CpuShares: 512 }],
    [['--pids-limit', '64', '--shm-size', '1g'], { PidsLimit: 64, ShmSize: 1024 ** 3 }],
    [['--cap-add', 'NET_ADMIN', '--cap-drop', 'ALL'], { CapAdd: ['NET_ADMIN'], CapDrop: ['ALL'] }],
    [
      ['--privileged', '--read-only', '--init'],
      { Privileged: true, ReadonlyRootfs: true, Init: true },
    ],
    [['--security-opt', 'no-new-privileges'], { SecurityOpt: ['no-new-privileges'] }],
    [['--sysctl', 'net.core.somaxconn=9'], { Sysctls: { 'net.core.somaxconn': '9' } }],
    [
      ['--tmpfs', '/a', '--tmpfs', '/b:size=1m,mode=755'],
      { Tmpfs: { '/a': '', '/b': 'size=1m,mode=755' } },
    ],
    [
      ['--group-add', '5', '--add-host', 'a:1.2.3.4'],
      { GroupAdd: ['5'], ExtraHosts: ['a:1.2.3.4'] },
    ],
    [['--dns', '9.9.9.9', '--network', 'none'], { Dns: ['9.9.9.9'], NetworkMode: 'none' }],
    [['--storage-opt', 'size=20G'], { StorageOpt: { size: '20G' } }],
    [['--log-driver', 'none'], { LogConfig: { Type: 'none', Config: {} } }],
    [['--log-opt', 'max-size=1m'], { LogConfig: { Type: '', Config: { 'max-size': '1m' } } }],
    [['-P'], { PublishAllPorts: true }],
    [
      ['--ulimit', 'nofile=1024:2048', '--ulimit', 'core=-1'],
      {
        Ulimits: [
          { Name: 'nofile', Soft: 1024, Hard: 2048 },
          { Name: 'core', Soft: -1, Hard: -1 },
        ],
      },
    ],
  ])('puts %j into the host configuration', (flags, expected) => {
    expect(bodyOf(flags).HostConfig).toMatchObject(expected);
  });

  it('exposes what it publishes, and keeps several addresses of one port', () => {
    const body = bodyOf(['-p', '80:80', '-p', '127.0.0.1:81:80', '-p', '53/udp']);
    expect(body['ExposedPorts']).toEqual({ '80/tcp': {}, '53/udp': {} });
    expect(body.HostConfig['PortBindings']).toEqual({
      '80/tcp': [
        { HostIp: '', HostPort: '80' },
        { HostIp: '127.0.0.1', HostPort: '81' },
      ],
      '53/udp': [{ HostIp: '', HostPort: '' }],
    });
  });

  it('passes the command on as it is', () => {
    expect(bodyOf([], ['sh', '-c', 'echo -n'])['Cmd']).toEqual(['sh', '-c', 'echo -n']);
  });
});

describe('the environment of a container', () => {
  it('takes our own value of a bare name, and leaves one that we do not have to the daemon', () => {
    vi.stubEnv('HYPER_TEST_OWN', 'ours');
    expect(bodyOf(['-e', 'HYPER_TEST_OWN', '-e', 'HYPER_TEST_NONE'])['Env']).toEqual([
      'HYPER_TEST_OWN=ours',
      'HYPER_TEST_NONE',
    ]);
    vi.unstubAllEnvs();
  });

  it('has the lines of its files before the flags, without comments and empty lines', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'hyper-env-'));
    const file = path.join(directory, 'env');
    await writeFile(file, '# comment\n\nA=from file\nB=2\n');
    expect(bodyOf(['-e', 'A=flag', '--env-file', file])['Env']).toEqual([
      'A=from file',
      'B=2',
      'A=flag',
    ]);
    await rm(directory, { recursive: true });
  });
});

describe('a port', () => {
  it.each([
    ['80', '80/tcp', '', ''],
    ['8080:80', '80/tcp', '', '8080'],
    ['127.0.0.1:8080:80/tcp', '80/tcp', '127.0.0.1', '8080'],
    ['127.0.0.1::80', '80/tcp', '127.0.0.1', ''],
    ['[::1]:53:53/udp', '53/udp', '::1', '53'],
  ])('%s is read', (text, key, HostIp, HostPort) => {
    expect(parsePort(text)).toEqual({ key, binding: { HostIp, HostPort } });
  });

  it.each(['', 'http', '80:http', '1:2:3:4', '80/sctp', '8080:'])('"%s" is refused', (text) => {
    expect(() => parsePort(text)).toThrow(`--publish: "${text}" is no port`);
  });
});

describe('a size', () => {
  it.each([
    ['1024', 1024],
    ['10b', 10],
    ['1k', 1024],
    ['1.5m', 1.5 * 1024 ** 2],
    ['2G', 2 * 1024 ** 3],
    ['1tb', 1024 ** 4],
    ['-1', -1],
  ])('%s is %d bytes', (text, bytes) => {
    expect(sizeOf('--memory', text)).toBe(bytes);
  });

  it.each(['', 'much', '-2', '1x', '1 m'])('"%s" is refused with the name of its flag', (text) => {
    expect(() => sizeOf('--memory', text)).toThrow(`--memory: "${text}" is no size such as 512m`);
  });
});

it.each([
  [['--cpus', 'two'], '--cpus: "two" is no number'],
  [['--stop-timeout', ''], '--stop-timeout: "" is no number'],
  [['--ulimit', 'nofile'], '--ulimit: "nofile" is no limit such as nofile=1024:2048'],
  [['-l', '=x'], '--label: "=x" has no name'],
])('refuses %j by name', (flags, message) => {
  expect(() => bodyOf(flags)).toThrow(message);
});
