import { afterEach, beforeEach, expect, test } from 'vitest';

import { type FakeApi, startFakeApi } from '../support/fake-api.ts';
import { RawConnection, upgradeRequest } from '../support/raw-http.ts';

let api: FakeApi;
let path: string;

beforeEach(async () => {
  api = await startFakeApi();
  path = await api.listenUnix();
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

async function stillServes(): Promise<void> {
  using client = await RawConnection.open(path);
  client.send('GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.untilText('OK');
}

test('a header of 10 MB is refused and the daemon goes on', async () => {
  using client = await RawConnection.open(path);
  client.send(`GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(10 * 1024 * 1024)}\r\n\r\n`);
  await client.untilText('HTTP/1.1 431 ');
  await stillServes();
});

test('what is not HTTP is refused and the daemon goes on', async () => {
  using client = await RawConnection.open(path);
  client.send('\x16\x03\x01\x02\0\x01\0\x01\xfc');
  await client.untilText('HTTP/1.1 400 ');
  await stillServes();
});

test('a body beyond the limit is refused with 413', async () => {
  const answer = await api.app.inject({
    method: 'POST',
    url: '/containers/create',
    headers: { 'content-type': 'application/json' },
    payload: `{"Image":"${'a'.repeat(5 * 1024 * 1024)}"}`,
  });
  expect(answer.statusCode).toBe(413);
  expect(answer.json()).toHaveProperty('message');
});

test('a body beyond the limit of the upgrade path is refused unread', async () => {
  using client = await RawConnection.open(path);
  client.send(
    upgradeRequest('/exec/x/start').replace('Content-Length: 0', 'Content-Length: 99999999'),
  );
  await client.untilText('HTTP/1.1 400 ');
  expect(client.body).toContain('request body too large');
});

test.each([
  ['{"Image":', 'invalid JSON'],
  ['[', 'invalid JSON'],
  ['nonsense', 'invalid JSON'],
  ['[]', 'invalid JSON'],
  ['"text"', 'config cannot be empty'],
  ['null', 'config cannot be empty'],
  ['['.repeat(100_000), 'invalid JSON'],
  ['{"Image":"busybox","Cmd":{"a":1}}', 'invalid JSON: Cmd'],
  ['{"Image":"busybox","HostConfig":[]}', 'invalid JSON: HostConfig'],
  ['{"Image":"busybox","HostConfig":{"Memory":1.5}}', 'HostConfig.Memory: must be integer'],
  ['{"Image":"busybox","HostConfig":{"ConsoleSize":[1]}}', 'HostConfig.ConsoleSize'],
  ['{"Image":"busybox","ExposedPorts":{"80/tcp":5}}', 'ExposedPorts'],
])('the body %.40s is answered 400', async (payload, message) => {
  const answer = await api.app.inject({
    method: 'POST',
    url: '/containers/create',
    headers: { 'content-type': 'application/json' },
    payload,
  });
  expect(answer.statusCode).toBe(400);
  expect(answer.json<{ message: string }>().message).toContain(message);
  expect(api.containers.created).toEqual([]);
});

test.each([
  '/containers/%ff/json',
  '/containers/%/json',
  '/v1.51/../../etc/passwd',
  '/containers//json',
  '/images//json',
  `/containers/${'a'.repeat(5000)}/json`,
  '/v/containers/json',
  '/v1.51',
  '/vx/containers/json',
  '//containers/json',
])('the path %.40s is no route and no crash', async (url) => {
  const answer = await api.app.inject({ method: 'GET', url });
  expect([400, 404]).toContain(answer.statusCode);
  expect(answer.json()).toHaveProperty('message');
});

test('what went wrong inside is logged and not told', async () => {
  api.containers.list = () => {
    throw new Error('the secret is 42');
  };
  const answer = await api.app.inject({ method: 'GET', url: '/containers/json' });
  expect(answer.statusCode).toBe(500);
  expect(answer.body).not.toContain('secret');
  expect(api.logged.join('')).toContain('the secret is 42');
});

test('a content type other than JSON is refused: a web page cannot post a command', async () => {
  const answer = await api.app.inject({
    method: 'POST',
    url: '/containers/create',
    headers: { 'content-type': 'text/plain' },
    payload: '{"Image":"busybox"}',
  });
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toEqual({
    message: "unsupported Content-Type header (text/plain): must be 'application/json'",
  });
});

test('a pattern of stars in a filter takes no time', async () => {
  api.images.add(`${'a'.repeat(200)}:latest`);
  const filters = JSON.stringify({ reference: [`${'*a'.repeat(30)}*b`] });
  const started = performance.now();
  const answer = await api.app.inject({ method: 'GET', url: '/images/json', query: { filters } });
  expect(answer.statusCode).toBe(200);
  expect(performance.now() - started).toBeLessThan(1000);
});
