import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type FakeApi, startFakeApi } from '../../../support/fake-api.ts';
import { frame, RawConnection } from '../../../support/raw-http.ts';
import { dockerRunBody } from './docker-run-body.ts';

let api: FakeApi;

beforeEach(async () => {
  api = await startFakeApi();
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

type Method = 'GET' | 'POST' | 'DELETE' | 'HEAD';

const call = (method: Method, url: string, payload?: object) =>
  api.app.inject({ method, url, ...(payload === undefined ? {} : { payload }) });

async function create(Cmd: readonly string[], changes: object = {}, query = ''): Promise<string> {
  const answer = await call('POST', `/containers/create${query}`, {
    ...dockerRunBody({ AutoRemove: false }),
    Cmd,
    ...changes,
  });
  expect(answer.statusCode).toBe(201);
  return answer.json<{ Id: string }>().Id;
}

async function startNew(Cmd: readonly string[], changes: object = {}): Promise<string> {
  const id = await create(Cmd, changes);
  expect((await call('POST', `/containers/${id}/start`)).statusCode).toBe(204);
  return id;
}

describe('life cycle', () => {
  test('create answers id and warnings, and takes the name from the query', async () => {
    const answer = await call('POST', '/v1.51/containers/create?name=web', dockerRunBody());
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toEqual({
      Id: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      Warnings: [],
    });
    expect(api.containers.get('web').name).toBe('web');
  });

  test('create from an image that is not there is 404', async () => {
    const answer = await call('POST', '/containers/create', { ...dockerRunBody(), Image: 'nope' });
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toEqual({ message: 'No such image: nope' });
  });

  test('a name that is taken is 409', async () => {
    await create(['true'], {}, '?name=web');
    const answer = await call('POST', '/containers/create?name=web', dockerRunBody());
    expect(answer.statusCode).toBe(409);
  });

  test('what is not supported is 501 and named', async () => {
    const body = dockerRunBody({ Binds: ['/a:/b'] });
    const answer = await call('POST', '/containers/create', body);
    expect(answer.statusCode).toBe(501);
    expect(answer.json()).toEqual({
      message: 'not supported by Hyper yet: HostConfig.Binds (--volume)',
    });
  });

  test('a second start is 304 without a body', async () => {
    const id = await startNew(['sleep', '60']);
    const answer = await call('POST', `/containers/${id}/start`);
    expect(answer.statusCode).toBe(304);
    expect(answer.body).toBe('');
  });

  test('stop hands on time and signal, and is 304 the second time', async () => {
    const id = await startNew(['sleep', '60']);
    expect((await call('POST', `/containers/${id}/stop?t=3&signal=SIGINT`)).statusCode).toBe(204);
    expect(api.containers.stopped).toEqual([{ timeoutSeconds: 3, signal: 'SIGINT' }]);
    expect((await call('POST', `/containers/${id}/stop`)).statusCode).toBe(304);
    expect(api.containers.stopped[1]).toEqual({ timeoutSeconds: null, signal: null });
  });

  test.each(['t=soon', 't=1.5'])('stop with %s is 400', async (query) => {
    const id = await startNew(['sleep', '60']);
    expect((await call('POST', `/containers/${id}/stop?${query}`)).statusCode).toBe(400);
  });

  test('kill sends SIGKILL unless told otherwise and is 409 on what does not run', async () => {
    const id = await startNew(['sleep', '60']);
    expect((await call('POST', `/containers/${id}/kill`)).statusCode).toBe(204);
    await expect.poll(() => api.containers.get(id).state.exitCode).toBe(137);
    const again = await call('POST', `/containers/${id}/kill?signal=TERM`);
    expect(again.statusCode).toBe(409);
    expect(again.json()).toEqual({ message: `container ${id} is not running` });
  });

  test('restart, pause and unpause are 204', async () => {
    const id = await startNew(['sleep', '60']);
    expect((await call('POST', `/containers/${id}/pause`)).statusCode).toBe(204);
    expect(api.containers.get(id).state.status).toBe('paused');
    expect((await call('POST', `/containers/${id}/unpause`)).statusCode).toBe(204);
    expect((await call('POST', `/containers/${id}/restart?t=1`)).statusCode).toBe(204);
    expect(api.containers.get(id).state.status).toBe('running');
  });

  test('rename needs a name', async () => {
    const id = await create(['true']);
    expect((await call('POST', `/containers/${id}/rename?name=new`)).statusCode).toBe(204);
    expect(api.containers.get(id).name).toBe('new');
    const answer = await call('POST', `/containers/${id}/rename`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toEqual({ message: 'Neither old nor new names may be empty' });
  });

  test('a running container is removed by force only', async () => {
    const id = await startNew(['sleep', '60'], {});
    const refused = await call('DELETE', `/containers/${id}?v=1`);
    expect(refused.statusCode).toBe(409);
    expect(refused.json<{ message: string }>().message).toContain(
      'container is running: stop the container before removing or force remove',
    );
    expect((await call('DELETE', `/containers/${id}?force=1`)).statusCode).toBe(204);
    expect((await call('DELETE', `/containers/${id}`)).statusCode).toBe(404);
  });

  test('removing a link is refused by name', async () => {
    const id = await create(['true']);
    const answer = await call('DELETE', `/containers/${id}?link=1`);
    expect(answer.statusCode).toBe(501);
  });

  test.each([
    ['POST', 'start'],
    ['POST', 'stop'],
    ['POST', 'restart'],
    ['POST', 'kill'],
    ['POST', 'pause'],
    ['POST', 'unpause'],
    ['POST', 'wait'],
    ['POST', 'attach'],
    ['POST', 'resize?h=1&w=1'],
    ['GET', 'json'],
    ['GET', 'logs?stdout=1'],
    ['GET', 'top'],
    ['GET', 'stats'],
  ] as const)('%s /containers/nope/%s is 404 in words of Docker', async (method, path) => {
    const answer = await call(method, `/v1.44/containers/nope/${path}`);
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toEqual({ message: 'No such container: nope' });
  });
});

describe('wait', () => {
  test('headers come before the container ends', async () => {
    const path = await api.listenUnix();
    const id = await startNew(['sleep', '60']);
    using client = await RawConnection.open(path);
    client.send(
      `POST /v1.51/containers/${id}/wait?condition=next-exit HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    await client.untilText('HTTP/1.1 200 OK');
    expect(client.body).toBe('');
    await api.containers.kill(id, 'SIGKILL');
    await client.untilText('{"StatusCode":137}');
  });

  test('an unknown condition is 400', async () => {
    const id = await create(['true']);
    const answer = await call('POST', `/containers/${id}/wait?condition=someday`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toEqual({ message: 'invalid condition: "someday"' });
  });

  test('before API 1.30 there are no conditions', async () => {
    const id = await create(['true']);
    const answer = await call('POST', `/v1.29/containers/${id}/wait?condition=removed`);
    expect(answer.json()).toEqual({ StatusCode: 0 });
  });
});

test('inspect has every part that clients look at', async () => {
  const id = await startNew(['sleep', '60'], { Labels: { a: 'b' } });
  const answer = await call('GET', `/containers/${id.slice(0, 12)}/json`);
  expect(answer.json()).toMatchObject({
    Id: id,
    Path: 'sleep',
    Args: ['60'],
    Name: expect.stringMatching(/^\//) as string,
    State: {
      Status: 'running',
      Running: true,
      Paused: false,
      Pid: 4242,
      ExitCode: 0,
      FinishedAt: '0001-01-01T00:00:00Z',
    },
    Driver: 'erofs',
    GraphDriver: { Name: 'erofs', Data: null },
    Mounts: [],
    Config: { Image: 'busybox', Labels: { a: 'b' }, Tty: false },
    HostConfig: { NetworkMode: 'bridge', Binds: null, RestartPolicy: { Name: 'no' } },
    NetworkSettings: {
      IPAddress: '172.29.0.2',
      Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }] },
      Networks: { bridge: { IPAddress: '172.29.0.2', IPPrefixLen: 16, Gateway: '172.29.0.1' } },
    },
  });
});

describe('logs', () => {
  const logs = async (id: string, query: string, version = 'v1.51') => {
    const answer = await call('GET', `/${version}/containers/${id}/logs?${query}`);
    return { type: answer.headers['content-type'], text: answer.rawPayload.toString('latin1') };
  };

  test('are framed, each stream by itself', async () => {
    const id = await startNew(['both', 'out', 'err']);
    expect(await logs(id, 'stdout=1&stderr=1')).toEqual({
      type: 'application/vnd.docker.multiplexed-stream',
      text: frame(1, 'out\n') + frame(2, 'err\n'),
    });
    expect((await logs(id, 'stderr=1')).text).toBe(frame(2, 'err\n'));
    expect((await logs(id, 'stdout=1&stderr=1&tail=1')).text).toBe(frame(2, 'err\n'));
    expect((await logs(id, 'stdout=1', 'v1.41')).type).toBe('application/vnd.docker.raw-stream');
  });

  test('of a terminal are bare', async () => {
    const id = await startNew(['echo', 'bare'], { Tty: true });
    expect((await logs(id, 'stdout=1')).text).toBe('bare\n');
  });

  test('have times of nine digits when asked for', async () => {
    const id = await startNew(['echo', 'x']);
    const { text } = await logs(id, 'stdout=1&timestamps=1');
    expect(text.slice(8)).toBe('2023-11-14T22:13:20.000000001Z x\n');
  });

  test('need a stream', async () => {
    const id = await create(['true']);
    const answer = await call('GET', `/containers/${id}/logs`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toEqual({
      message: 'Bad parameters: you must choose at least one stream',
    });
  });

  test('that follow end with the container', async () => {
    const path = await api.listenUnix();
    const id = await startNew(['tick']);
    using client = await RawConnection.open(path);
    client.send(`GET /containers/${id}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.untilText('tick\n');
    await api.containers.kill(id, 'SIGKILL');
    await client.untilText('\r\n0\r\n\r\n');
  });

  test('of a driver that keeps nothing are refused', async () => {
    const id = await startNew(['true'], { HostConfig: { LogConfig: { Type: 'none' } } });
    for (const follow of ['0', '1']) {
      const answer = await call('GET', `/containers/${id}/logs?stdout=1&follow=${follow}`);
      expect(answer.statusCode).toBe(501);
      expect(answer.json()).toEqual({
        message: 'configured logging driver does not support reading',
      });
    }
  });

  test('since must be a time', async () => {
    const id = await create(['true']);
    const answer = await call('GET', `/containers/${id}/logs?stdout=1&since=yesterday`);
    expect(answer.statusCode).toBe(400);
  });
});

describe('looking inside', () => {
  test('top lists processes and is 409 on what does not run', async () => {
    const id = await startNew(['sleep', '60']);
    expect((await call('GET', `/containers/${id}/top?ps_args=aux`)).json()).toEqual({
      Titles: ['PID', 'CMD'],
      Processes: [['1', 'sh']],
    });
    await api.containers.kill(id, 'SIGKILL');
    expect((await call('GET', `/containers/${id}/top`)).statusCode).toBe(409);
  });

  test('one-shot stats answer at once, without a former sample', async () => {
    const id = await startNew(['sleep', '60']);
    const answer = await call('GET', `/containers/${id}/stats?stream=0&one-shot=1`);
    expect(answer.json()).toMatchObject({
      id,
      preread: '0001-01-01T00:00:00Z',
      cpu_stats: { cpu_usage: { total_usage: 1_000_000 }, online_cpus: 1 },
      precpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: { usage: 5_000_000, limit: 134_217_728, stats: { inactive_file: 1_000_000 } },
      pids_stats: { current: 1 },
      networks: { eth0: { rx_bytes: 1, tx_bytes: 3 } },
      hyper: { host_memory_bytes: 40_000_000 },
    });
  });

  test('stats without one-shot have two samples', async () => {
    const id = await startNew(['sleep', '60']);
    const answer = await call('GET', `/containers/${id}/stats?stream=false`);
    expect(answer.json()).toMatchObject({
      precpu_stats: { cpu_usage: { total_usage: 1_000_000 } },
    });
  });

  test('stats of a container that does not run are empty', async () => {
    const id = await create(['true']);
    const answer = await call('GET', `/containers/${id}/stats?stream=0`);
    expect(answer.json()).toMatchObject({ id, read: '0001-01-01T00:00:00Z', memory_stats: {} });
  });

  test('stats come as a stream unless told otherwise', async () => {
    const path = await api.listenUnix();
    const id = await startNew(['sleep', '60']);
    using client = await RawConnection.open(path);
    client.send(`GET /containers/${id}/stats HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.untilText('"pids_stats"');
  });
});

describe('terminal size', () => {
  test('is handed on', async () => {
    const id = await startNew(['sleep', '60']);
    expect((await call('POST', `/containers/${id}/resize?h=40&w=120`)).statusCode).toBe(200);
    expect(api.containers.resized).toEqual([{ rows: 40, columns: 120 }]);
  });

  test.each(['', 'h=40', 'h=-1&w=5', 'h=x&w=5', 'h=70000&w=5'])('"%s" is 400', async (query) => {
    const id = await startNew(['sleep', '60']);
    expect((await call('POST', `/containers/${id}/resize?${query}`)).statusCode).toBe(400);
  });
});

describe('exec', () => {
  test('is created and inspected', async () => {
    const id = await startNew(['sleep', '60']);
    const created = await call('POST', `/containers/${id}/exec`, {
      Cmd: ['ls', '-l'],
      AttachStdout: true,
      Env: null,
      Detach: false,
    });
    expect(created.statusCode).toBe(201);
    const { Id } = created.json<{ Id: string }>();
    expect((await call('GET', `/exec/${Id}/json`)).json()).toMatchObject({
      ID: Id,
      ContainerID: id,
      Running: false,
      ExitCode: null,
      ProcessConfig: { entrypoint: 'ls', arguments: ['-l'], tty: false },
      OpenStdout: true,
    });
    expect((await call('POST', `/exec/${Id}/resize?h=2&w=3`)).statusCode).toBe(200);
  });

  test('without a command is 400', async () => {
    const id = await startNew(['sleep', '60']);
    const answer = await call('POST', `/containers/${id}/exec`, {});
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toEqual({ message: 'No exec command specified' });
  });

  test('in what does not run is 409', async () => {
    const id = await create(['true']);
    const answer = await call('POST', `/containers/${id}/exec`, { Cmd: ['ls'] });
    expect(answer.statusCode).toBe(409);
  });

  test('that is unknown is 404', async () => {
    for (const [method, path] of [
      ['GET', 'json'],
      ['POST', 'start'],
      ['POST', 'resize?h=1&w=1'],
    ] as const) {
      const answer = await call(method, `/exec/nope/${path}`);
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toEqual({ message: 'No such exec instance: nope' });
    }
  });
});
