import { afterEach, beforeEach, expect, test } from 'vitest';

import { type FakeApi, startFakeApi } from '../../../support/fake-api.ts';
import { fakeWaitingVm } from '../../../support/fake-container.ts';
import { RawConnection } from '../../../support/raw-http.ts';

let api: FakeApi;

beforeEach(async () => {
  api = await startFakeApi();
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const get = (url: string) => api.app.inject({ method: 'GET', url });

async function startContainer(name: string): Promise<string> {
  const config = { Image: 'busybox', Cmd: ['sleep', '60'] };
  const { id } = await api.containers.create({ name, platform: null, config, hostConfig: {} });
  await api.containers.start(id);
  return id;
}

test.each(['GET', 'HEAD'] as const)('%s _ping tells versions in its headers', async (method) => {
  const answer = await api.app.inject({ method, url: '/_ping' });
  expect(answer.statusCode).toBe(200);
  expect(answer.body).toBe(method === 'GET' ? 'OK' : '');
  expect(answer.headers).toMatchObject({
    'api-version': '1.51',
    ostype: 'linux',
    'docker-experimental': 'false',
    'builder-version': '1',
    swarm: 'inactive',
    'cache-control': 'no-cache, no-store, must-revalidate',
    pragma: 'no-cache',
  });
});

test.each(['/v1.24/info', '/v1.51/info', '/info', '/v1.30/_ping'])('%s is served', async (url) => {
  expect((await get(url)).statusCode).toBe(200);
});

test.each([
  ['/v1.52/info', 'client version 1.52 is too new. Maximum supported API version is 1.51'],
  ['/v2.0/info', 'client version 2.0 is too new. Maximum supported API version is 1.51'],
  [
    '/v1.23/info',
    'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
  ],
])('%s is out of range', async (url, message) => {
  const answer = await get(url);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toEqual({ message });
});

test.each(['/nope', '/v1.40/nope', '/v1.99/nope', '/', '/containers/x'])(
  '%s is no page',
  async (url) => {
    const answer = await get(url);
    expect(answer.statusCode).toBe(404);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json()).toEqual({ message: 'page not found' });
  },
);

test('another method on a known path is no page either', async () => {
  const answer = await api.app.inject({ method: 'POST', url: '/version' });
  expect(answer.json()).toEqual({ message: 'page not found' });
});

test('version tells the kernel of the host and that of the guests', async () => {
  expect((await get('/version')).json()).toMatchObject({
    ApiVersion: '1.51',
    MinAPIVersion: '1.24',
    KernelVersion: '6.1.0-host',
    Os: 'linux',
    Components: [
      { Name: 'Engine' },
      { Name: 'HyperKernel', Version: '6.12.0-hyper' },
      { Name: 'fake', Version: '1.0' },
      { Name: 'node' },
    ],
  });
});

test('info counts containers by state', async () => {
  await startContainer('a');
  await startContainer('b');
  await api.containers.pause('b');
  expect((await get('/info')).json()).toMatchObject({
    Containers: 2,
    ContainersRunning: 1,
    ContainersPaused: 1,
    ContainersStopped: 0,
    Images: 1,
    Driver: 'erofs',
    Runtimes: { hyper: {} },
    Swarm: { LocalNodeState: 'inactive' },
    LiveRestoreEnabled: true,
  });
});

test('auth answers the registry', async () => {
  const login = (password: string) =>
    api.app.inject({
      method: 'POST',
      url: '/auth',
      payload: { username: 'me', password, serveraddress: 'localhost:5000' },
    });
  expect((await login('secret')).json()).toEqual({ Status: 'Login Succeeded', IdentityToken: '' });
  const refused = await login('wrong');
  expect(refused.statusCode).toBe(401);
  expect(refused.json<{ message: string }>().message).not.toContain('wrong');
});

test.each([
  ['POST', '/networks/create'],
  ['POST', '/build'],
  ['GET', '/system/df'],
  ['POST', '/images/a/b/push'],
  ['PUT', '/containers/x/archive'],
  ['GET', '/distribution/a/b/json'],
] as const)('%s %s is not there yet and says so', async (method, url) => {
  const answer = await api.app.inject({ method, url: `/v1.45${url}` });
  expect(answer.statusCode).toBe(501);
  expect(answer.json<{ message: string }>().message).toMatch(
    /^not supported by Hyper yet: (GET|POST|PUT) \//,
  );
});

test.each([
  ['GET', '/nodes'],
  ['GET', '/services'],
  ['POST', '/swarm/init'],
  ['GET', '/tasks/x/logs'],
  ['POST', '/secrets/create'],
] as const)('%s %s needs a swarm', async (method, url) => {
  const answer = await api.app.inject({ method, url });
  expect(answer.statusCode).toBe(503);
  expect(answer.json<{ message: string }>().message).toMatch(/^This node is not a swarm manager\./);
});

test('there are no plugins and no volumes', async () => {
  expect((await get('/plugins')).json()).toEqual([]);
  expect((await get('/volumes')).json()).toEqual({ Volumes: [], Warnings: null });
});

test('networks are bridge and none, with members when inspected', async () => {
  const id = await startContainer('web');
  const list = (await get('/networks')).json<{ Name: string; Containers: object }[]>();
  expect(list.map(({ Name }) => Name)).toEqual(['bridge', 'none']);
  expect(list[0]?.Containers).toEqual({});
  expect((await get('/networks/bridge')).json()).toMatchObject({
    Driver: 'bridge',
    IPAM: { Config: [{ Subnet: '172.29.0.0/16', Gateway: '172.29.0.1' }] },
    Containers: { [id]: { Name: 'web', IPv4Address: '172.29.0.2/16' } },
  });
  expect((await get(`/networks/${'b'.repeat(12)}`)).json()).toMatchObject({ Name: 'bridge' });
  const missing = await get('/networks/nope');
  expect(missing.statusCode).toBe(404);
  expect(missing.json()).toEqual({ message: 'network nope not found' });
});

test.each([
  ['{"name":["bri"]}', ['bridge']],
  ['{"driver":{"null":true}}', ['none']],
  ['{"type":["custom"]}', []],
  ['{"label":["x"]}', []],
])('networks filtered by %s are %j', async (filters, names) => {
  const answer = await api.app.inject({ method: 'GET', url: '/networks', query: { filters } });
  expect(answer.json<{ Name: string }[]>().map(({ Name }) => Name)).toEqual(names);
});

test('the VMs behind containers are told under /hyper', async () => {
  const id = await startContainer('web');
  expect((await get('/hyper/vms')).json()).toEqual([
    {
      State: 'running',
      Origin: 'boot',
      ContainerId: id,
      ContainerName: 'web',
      Image: 'busybox',
      Hypervisor: 'fake',
      Pid: 4242,
      MemoryMiB: 128,
      Vcpus: 1,
      KernelRelease: '6.12.0-hyper',
      Timeline: { spawn: 10, agent: 200 },
    },
  ]);
  expect((await get('/hyper/vms/web/console')).json()).toEqual({
    Text: 'the guest kernel says hello\n',
  });
  expect((await get('/hyper/version')).json()).toMatchObject({ HyperKernel: '6.12.0-hyper' });
  await api.containers.kill('web', 'SIGKILL');
  await expect.poll(() => api.containers.get('web').vm).toBeNull();
  expect((await get('/hyper/vms/web/console')).statusCode).toBe(409);
  expect((await get('/hyper/vms')).json()).toEqual([]);
});

test('the timeline of a start is kept when its VM has ended', async () => {
  await startContainer('web');
  await api.containers.kill('web', 'SIGKILL');
  await expect.poll(() => api.containers.get('web').vm).toBeNull();
  expect((await get('/hyper/containers/web/timeline')).json()).toEqual({
    Origin: 'boot',
    Timeline: { spawn: 10, agent: 200 },
  });
});

test('a container that was never started has no timeline', async () => {
  const config = { Image: 'busybox' };
  await api.containers.create({ name: 'new', platform: null, config, hostConfig: {} });
  const answer = await get('/hyper/containers/new/timeline');
  expect(answer.statusCode).toBe(409);
  expect(answer.json()).toEqual({ message: 'container new was never started' });
});

test('VMs that wait for a container are told with those that have one', async () => {
  const parent = { ...fakeWaitingVm, origin: 'template', pid: 4444 } as const;
  const [waiting, parents] = [[fakeWaitingVm], [parent]];
  api.containers.warm = { templates: true, poolSize: 2, waiting, parents };
  const id = await startContainer('web');
  await api.containers.pause('web');
  expect((await get('/hyper/vms')).json()).toMatchObject([
    { State: 'paused', Origin: 'boot', ContainerId: id },
    {
      ...{ State: 'waiting', Origin: 'pool', ContainerId: '', ContainerName: '', Image: '' },
      ...{ Pid: 4343, Timeline: {} },
    },
    { State: 'parent', Origin: 'template', ContainerId: '', Pid: 4444 },
  ]);
  expect((await get('/hyper/version')).json()).toMatchObject({ Templates: true, PoolSize: 2 });
});

const events = async (query: Record<string, string>) => {
  const until = (Date.now() / 1000).toFixed(3);
  const answer = await api.app.inject({
    method: 'GET',
    url: '/events',
    query: { since: '1', until, ...query },
  });
  return answer.body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

test('kept events are replayed until a time', async () => {
  const id = await startContainer('web');
  expect(await events({})).toMatchObject([
    { Type: 'container', Action: 'create', status: 'create', id, from: 'busybox', scope: 'local' },
    { Action: 'start', Actor: { ID: id, Attributes: { name: 'web', image: 'busybox' } } },
  ]);
});

test.each([
  ['{"event":["start"]}', ['start']],
  ['{"type":["image"]}', []],
  ['{"container":["web"]}', ['create', 'start']],
  ['{"container":{"other":true}}', []],
  ['{"image":["busybox"]}', ['create', 'start']],
  ['{"label":["name=web"]}', ['create', 'start']],
  ['{"service":["x"]}', []],
])('events filtered by %s are %j', async (filters, actions) => {
  await startContainer('web');
  expect((await events({ filters })).map(({ Action }) => Action)).toEqual(actions);
});

test('live events arrive one by one, with all digits of their time', async () => {
  const path = await api.listenUnix();
  using client = await RawConnection.open(path);
  client.send('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.untilText('200 OK');
  api.containers.events.publish({
    type: 'container',
    action: 'start',
    actorId: 'abc',
    attributes: {},
    unixNanos: 1_700_000_000_123_456_789n,
  });
  await client.untilText('"timeNano":1700000000123456789}');
});

test.each(['since=yesterday', 'until=x', 'filters={"nope":["x"]}'])('%s is 400', async (query) => {
  expect((await get(`/events?${query}`)).statusCode).toBe(400);
});
