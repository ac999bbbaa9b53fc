import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type FakeApi, startFakeApi } from '../../../support/fake-api.ts';
import { dockerRunBody } from './docker-run-body.ts';

let api: FakeApi;

beforeEach(async () => {
  api = await startFakeApi();
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

type Method = 'GET' | 'POST';

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

describe('list', () => {
  const namesOf = async (query: Record<string, string>) =>
    (await list(query)).body.map(({ Names }) => Names[0]);
  const list = async (query: Record<string, string>) => {
    const answer = await api.app.inject({ method: 'GET', url: '/containers/json', query });
    return {
      statusCode: answer.statusCode,
      body: answer.json<{ Names: string[] }[]>(),
    };
  };

  beforeEach(async () => {
    const running = { Labels: { app: 'web', tier: 'front' } };
    await create(['true'], {}, '?name=old');
    await create(['sleep', '60'], running, '?name=web');
    await call('POST', '/containers/web/start');
    await create(['false'], { Labels: { app: 'job' } }, '?name=job');
    await call('POST', '/containers/job/start');
    await expect.poll(() => api.containers.get('job').state.status).toBe('exited');
  });

  test.each([
    [{}, ['/web']],
    [{ filters: '{"status":["exited"]}' }, ['/job']],
    [{ filters: '{"exited":["1"]}' }, ['/job']],
    [{ filters: '{"name":["we"]}' }, ['/web']],
    [{ filters: '{"name":{"^/web$":true}}' }, ['/web']],
    [{ filters: '{"label":["app=web","tier"]}' }, ['/web']],
    [{ all: '1', filters: '{"label":["app"]}' }, ['/job', '/web']],
    [{ filters: '{"network":["bridge"]}' }, ['/web']],
    [{ filters: '{"network":["other"]}' }, []],
    [{ filters: '{"health":["none"]}' }, ['/web']],
    [{ filters: '{"publish":["8080"]}' }, ['/web']],
    [{ filters: '{"volume":["v"]}' }, []],
    [{ filters: '{"ancestor":["busybox"]}' }, ['/web']],
    [{ filters: '{"ancestor":["nope"]}' }, []],
  ])('with %j it is %j', async (query, names) => {
    expect((await namesOf(query)).toSorted()).toEqual(names);
  });

  test('all lists every container, a limit the newest ones', async () => {
    expect(await namesOf({ all: 'true' })).toHaveLength(3);
    expect(await namesOf({ limit: '2' })).toHaveLength(2);
  });

  test.each(['{"nope":["x"]}', '{"status":["asleep"]}', '{"exited":["x"]}', 'nonsense'])(
    'filters %s are 400',
    async (filters) => {
      expect((await list({ filters })).statusCode).toBe(400);
    },
  );

  test('an entry has what the docker client prints', async () => {
    const { body } = await list({ size: '1' });
    expect(body[0]).toMatchObject({
      Names: ['/web'],
      Image: 'busybox',
      Command: 'sleep 60',
      State: 'running',
      Status: expect.stringMatching(/^Up /) as string,
      Ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }],
      Labels: { app: 'web', tier: 'front' },
      HostConfig: { NetworkMode: 'bridge' },
      Mounts: [],
      SizeRootFs: 4_200_000,
    });
  });
});
