import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type FakeApi, startFakeApi } from '../../../support/fake-api.ts';

let api: FakeApi;

beforeEach(async () => {
  api = await startFakeApi();
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const call = (method: 'GET' | 'POST' | 'DELETE', url: string, headers = {}) =>
  api.app.inject({ method, url, headers });

const actions = (): Promise<string[]> =>
  Promise.resolve(
    (api.containers.events as unknown as { kept: { action: string }[] }).kept.map(
      ({ action }) => action,
    ),
  );

describe('pull', () => {
  test('streams progress as JSON lines and hands on reference, platform and credentials', async () => {
    const auth = Buffer.from('{"username":"me","password":"p","serveraddress":"r"}');
    const answer = await call(
      'POST',
      '/images/create?fromImage=docker.io%2Flibrary%2Fx&tag=1&platform=linux/arm64',
      {
        'x-registry-auth': auth.toString('base64url'),
      },
    );
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    const lines = answer.body.trimEnd().split('\r\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { status: 'Pulling from library/fake', id: 'latest' },
      { status: 'Status: Downloaded newer image for docker.io/library/x:1' },
    ]);
    expect(api.images.pulls[0]).toMatchObject({
      reference: 'docker.io/library/x:1',
      options: {
        platform: { os: 'linux', architecture: 'arm64' },
        auth: { username: 'me', password: 'p', serverAddress: 'r' },
      },
    });
    expect(await actions()).toContain('pull');
  });

  test.each([
    ['fromImage=x&tag=sha256:abc', ['x@sha256:abc']],
    ['fromImage=x:2', ['x:2']],
    ['fromImage=x:2&tag=3', ['x:3']],
    ['fromImage=r:5000/x&tag=3', ['r:5000/x:3']],
    ['fromImage=x', ['x:1', 'x:2']],
    ['fromImage=r:5000/x', ['r:5000/x:1', 'r:5000/x:2']],
  ])('%s pulls %j', async (query, references) => {
    await call('POST', `/images/create?${query}`);
    expect(api.images.pulls.map(({ reference }) => reference)).toEqual(references);
  });

  test('a failure before the first line is an ordinary error', async () => {
    const answer = await call('POST', '/images/create?fromImage=missing&tag=1');
    expect(answer.statusCode).toBe(404);
    expect(answer.json<{ message: string }>().message).toMatch(/^pull access denied/);
  });

  test('a failure in the middle is the last line', async () => {
    const answer = await call('POST', '/images/create?fromImage=broken&tag=1');
    expect(answer.statusCode).toBe(200);
    expect(JSON.parse(answer.body.trimEnd().split('\r\n').at(-1) ?? '')).toEqual({
      errorDetail: { message: 'the registry went away' },
      error: 'the registry went away',
    });
  });

  test.each(['', 'e30=', 'nonsense', Buffer.from('[1]').toString('base64')])(
    'credentials %j mean none',
    async (header) => {
      await call('POST', '/images/create?fromImage=x&tag=1', { 'x-registry-auth': header });
      expect(api.images.pulls[0]?.options.auth).toEqual({});
    },
  );

  test.each(['', 'fromImage=x&tag=1&platform=a/b/c/d'])('%j is 400', async (query) => {
    expect((await call('POST', `/images/create?${query}`)).statusCode).toBe(400);
  });
});

describe('archives', () => {
  const payload = Buffer.alloc(6 * 1024 * 1024, 1);
  const headers = { 'content-type': 'application/x-tar' };

  test('load takes a body of any size and tells what it loaded', async () => {
    const answer = await api.app.inject({
      method: 'POST',
      url: '/images/load?quiet=1',
      payload,
      headers,
    });
    expect(answer.body).toBe('{"stream":"Loaded image: loaded:latest\\n"}\r\n');
    expect(api.images.lastArchiveBytes).toBe(payload.length);
    expect(await actions()).toContain('load');
  });

  test('load shows progress unless it is to be quiet', async () => {
    const url = '/images/load';
    const answer = await api.app.inject({ method: 'POST', url, payload, headers });
    expect(answer.body).toContain('Loading layer');
  });

  test('import names the new image', async () => {
    const answer = await api.app.inject({
      method: 'POST',
      url: '/images/create?fromSrc=-&repo=mine&tag=1&message=hello&changes=CMD+sh&changes=USER+me',
      payload,
      headers: { 'content-type': 'text/plain' },
    });
    expect(answer.body).toBe(`{"status":"${api.images.get('mine:1').id}"}\r\n`);
    expect(api.images.get('mine:1').comment).toBe('hello');
  });

  test('import from a URL is refused by name', async () => {
    const answer = await call('POST', '/images/create?fromSrc=http://x/y.tar');
    expect(answer.statusCode).toBe(501);
    expect(answer.json<{ message: string }>().message).toContain('fromSrc with a URL');
  });
});

describe('list', () => {
  const list = async (filters: object, version = '') => {
    const answer = await api.app.inject({
      method: 'GET',
      url: `${version}/images/json`,
      query: { filters: JSON.stringify(filters) },
    });
    return answer.json<{ RepoTags: string[] }[]>();
  };

  beforeEach(() => {
    api.images.add('r:5000/team/app:1', {
      createdUnixMs: Date.parse('2026-02-01'),
      config: { ...api.images.get('busybox').config, Labels: { app: 'x' } },
    });
    api.images.add('dangling', { repoTags: [], createdUnixMs: Date.parse('2026-03-01') });
  });

  test.each([
    [{}, [[], ['r:5000/team/app:1'], ['busybox:latest']]],
    [{ reference: ['busybox'] }, [['busybox:latest']]],
    [{ reference: ['busy*'] }, [['busybox:latest']]],
    [{ reference: ['*:latest'] }, [['busybox:latest']]],
    [{ reference: ['r:5000/*/app'] }, [['r:5000/team/app:1']]],
    [{ reference: ['*'] }, [['busybox:latest']]],
    [{ dangling: ['true'] }, [[]]],
    [{ dangling: { false: true } }, [['r:5000/team/app:1'], ['busybox:latest']]],
    [{ label: ['app=x'] }, [['r:5000/team/app:1']]],
    [{ before: ['r:5000/team/app:1'] }, [['busybox:latest']]],
    [{ since: ['busybox'] }, [[], ['r:5000/team/app:1']]],
  ])('filtered by %j is %j', async (filters, tags) => {
    expect((await list(filters)).map(({ RepoTags }) => RepoTags)).toEqual(tags);
  });

  test('before API 1.43 a dangling image is called none', async () => {
    expect((await list({ dangling: ['true'] }, '/v1.42'))[0]).toMatchObject({
      RepoTags: ['<none>:<none>'],
      VirtualSize: 4_200_000,
    });
  });

  test('an unknown filter is 400', async () => {
    expect(await list({ nope: ['x'] })).toEqual({ message: "invalid filter 'nope'" });
  });
});

describe('one image', () => {
  test('is inspected by a name with slashes', async () => {
    const image = api.images.add('r:5000/a/b:1');
    const answer = await call('GET', '/v1.51/images/r:5000/a/b:1/json');
    expect(answer.json()).toMatchObject({
      Id: image.id,
      RepoTags: ['r:5000/a/b:1'],
      Architecture: 'amd64',
      Os: 'linux',
      RootFS: { Type: 'layers' },
      GraphDriver: { Name: 'erofs' },
      Config: { Cmd: ['sh'] },
    });
  });

  test('that is called json is inspected too', async () => {
    const image = api.images.add('json:latest');
    expect((await call('GET', '/images/json/json')).json()).toMatchObject({ Id: image.id });
  });

  test('has a history', async () => {
    expect((await call('GET', '/images/busybox/history')).json()).toEqual([
      expect.objectContaining({ Tags: ['busybox:latest'], Size: 4_200_000 }),
    ]);
  });

  test('gets further tags', async () => {
    const answer = await call('POST', '/images/busybox/tag?repo=docker.io/a/b&tag=2');
    expect(answer.statusCode).toBe(201);
    expect(api.images.get('a/b:2').repoTags).toEqual(['busybox:latest', 'a/b:2']);
    expect((await call('POST', '/images/busybox/tag')).statusCode).toBe(400);
  });

  test('is removed, and in the way when a container uses it', async () => {
    const config = { Image: 'busybox' };
    await api.containers.create({ name: null, platform: null, config, hostConfig: {} });
    const refused = await call('DELETE', '/images/busybox:latest');
    expect(refused.statusCode).toBe(409);
    expect(refused.json<{ message: string }>().message).toContain('(must force)');
    const removed = await call('DELETE', '/images/busybox:latest?force=1');
    expect(removed.json()).toEqual([
      { Untagged: 'busybox:latest' },
      { Deleted: expect.stringMatching(/^sha256:/) as string },
    ]);
    expect(await actions()).toEqual(expect.arrayContaining(['untag', 'delete']));
  });

  test.each([
    ['GET', '/images/nope/json'],
    ['GET', '/images/a/b/nope/history'],
    ['POST', '/images/nope/tag?repo=x'],
    ['DELETE', '/images/nope'],
  ] as const)('that is not there is 404: %s %s', async (method, url) => {
    const answer = await call(method, url);
    expect(answer.statusCode).toBe(404);
    expect(answer.json<{ message: string }>().message).toMatch(/^No such image: /);
  });
});
