import { expect, test } from 'vitest';

import { parseCreateRequest } from '../../../../hyperd/api/create-request.ts';
import { dockerRunBody } from './docker-run-body.ts';

const parse = (body: unknown, query = {}) => parseCreateRequest(body, query);

test('everything that the docker client sends by default is taken', () => {
  const request = parse(dockerRunBody(), { name: ['web'], platform: ['linux/arm64/v8'] });
  expect(request.name).toBe('web');
  expect(request.platform).toEqual({ os: 'linux', architecture: 'arm64', variant: 'v8' });
  expect(request.config).toMatchObject({ Image: 'busybox', Cmd: ['true'], AttachStdout: true });
  expect(request.hostConfig).toMatchObject({ NetworkMode: 'default', AutoRemove: true });
  expect(request.hostConfig).not.toHaveProperty('Binds');
});

test.each([
  ['Healthcheck', { Test: ['CMD', 'true'] }, 'Healthcheck (--health-cmd)'],
  ['Volumes', { '/data': {} }, 'Volumes (--volume)'],
  ['NetworkDisabled', true, 'NetworkDisabled'],
])('a container field that is not honoured is refused by name: %s', (field, value, named) => {
  expect(() => parse({ ...dockerRunBody(), [field]: value })).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: `not supported by Hyper yet: ${named}`,
    }),
  );
});

test.each([
  ['Binds', ['/a:/b'], '(--volume)'],
  ['Mounts', [{ Type: 'bind', Source: '/a', Target: '/b' }], '(--mount)'],
  ['VolumesFrom', ['web'], '(--volumes-from)'],
  ['Links', ['db:db'], '(--link)'],
  ['PidMode', 'host', '(--pid)'],
  ['UTSMode', 'host', '(--uts)'],
  ['Devices', [{ PathOnHost: '/dev/fuse' }], '(--device)'],
  ['DeviceRequests', [{ Count: -1 }], '(--gpus)'],
  ['CgroupParent', '/x', '(--cgroup-parent)'],
  ['BlkioWeight', 500, '(--blkio-weight)'],
  ['OomKillDisable', true, '(--oom-kill-disable)'],
  ['MemorySwappiness', 10, '(--memory-swappiness)'],
  ['Runtime', 'runc', '(--runtime)'],
  ['Isolation', 'hyperv', '(--isolation)'],
  ['CpuRealtimeRuntime', 1000, '(--cpu-rt-runtime)'],
])('a host field that is not honoured is refused by name: %s', (field, value, option) => {
  const body = dockerRunBody({ [field]: value });
  expect(() => parse(body)).toThrow(`not supported by Hyper yet: HostConfig.${field} ${option}`);
});

test('a refused field in another case does not slip through', () => {
  expect(() => parse({ Image: 'x', hostconfig: { binds: ['/a:/b'] } })).toThrow('HostConfig.Binds');
});

test('all refused fields are named at once', () => {
  const body = dockerRunBody({ Binds: ['/a:/b'], PidMode: 'host' });
  expect(() => parse(body)).toThrow('HostConfig.Binds (--volume), HostConfig.PidMode (--pid)');
});

test.each([
  ['Runtime', 'hyper'],
  ['Isolation', 'default'],
  ['UsernsMode', 'host'],
  ['MemorySwappiness', -1],
  ['ContainerIDFile', '/tmp/cid'],
])('what asks for the way it is anyway is taken: %s=%s', (field, value) => {
  expect(parse(dockerRunBody({ [field]: value })).config.Image).toBe('busybox');
});

test('one word is a list of one', () => {
  const { config, hostConfig } = parse({
    Image: 'x',
    Cmd: 'ls',
    Entrypoint: '/bin/sh',
    HostConfig: { CapAdd: 'ALL' },
  });
  expect(config.Cmd).toEqual(['ls']);
  expect(config.Entrypoint).toEqual(['/bin/sh']);
  expect(hostConfig.CapAdd).toEqual(['ALL']);
});

test('an empty body is refused in words of Docker', () => {
  expect(() => parse(undefined)).toThrow('config cannot be empty in order to create a container');
  expect(() => parse(null)).toThrow('config cannot be empty');
});

const endpoint = (network: string, settings: object) => ({
  ...dockerRunBody({ NetworkMode: network }),
  NetworkingConfig: { EndpointsConfig: { [network]: settings } },
});

test('the MAC address of an endpoint is honoured', () => {
  const { config } = parse(endpoint('bridge', { MacAddress: '02:42:ac:11:00:05' }));
  expect(config.MacAddress).toBe('02:42:ac:11:00:05');
});

test('an endpoint for the default network under its other name is the same', () => {
  const body = {
    ...dockerRunBody({ NetworkMode: 'default' }),
    NetworkingConfig: { EndpointsConfig: { bridge: null } },
  };
  expect(parse(body).hostConfig.NetworkMode).toBe('default');
});

test.each([
  [{ Aliases: ['db'] }, 'INVALID_ARGUMENT', 'network-scoped alias is supported only'],
  [{ IPAMConfig: { IPv4Address: '172.29.0.9' } }, 'INVALID_ARGUMENT', 'user specified IP address'],
  [{ Links: ['a:b'] }, 'UNSUPPORTED', 'EndpointsConfig.bridge.Links'],
  [{ DriverOpts: { a: 'b' } }, 'UNSUPPORTED', 'EndpointsConfig.bridge.DriverOpts'],
])('endpoint settings %j are refused', (settings, code, message) => {
  expect(() => parse(endpoint('bridge', settings))).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
  );
});

test.each(['host', 'container:web', 'mine'])('network mode %s is refused by name', (mode) => {
  expect(() => parse(dockerRunBody({ NetworkMode: mode }, {}))).toThrow(
    `HostConfig.NetworkMode "${mode}"`,
  );
});

test('no health check is what every container has, so asking for none is fine', () => {
  const body = { ...dockerRunBody(), Healthcheck: { Test: ['NONE'] } };
  expect(parse(body).config).not.toHaveProperty('Healthcheck');
});

test.each(['linux/amd64/v1/x', 'linux/am d64', 'linux//'])('platform %j is refused', (platform) => {
  expect(() => parse(dockerRunBody(), { platform: [platform] })).toThrow('invalid platform');
});
