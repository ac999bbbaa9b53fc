import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { once } from 'node:events';

import type { ContainerConfig, HostConfig } from '../../../../hyperd/pod/docker-config.ts';
import { type FakeApi, startFakeApi } from '../../../support/fake-api.ts';
import { frame, plainRequest, RawConnection, upgradeRequest } from '../../../support/raw-http.ts';

let api: FakeApi;
let path: string;

beforeEach(async () => {
  api = await startFakeApi();
  path = await api.listenUnix();
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

async function create(
  config: Partial<ContainerConfig>,
  hostConfig: HostConfig = {},
): Promise<string> {
  const { id } = await api.containers.create({
    name: null,
    platform: null,
    config: { Image: 'busybox', ...config },
    hostConfig,
  });
  return id;
}

const attachAll = 'stream=1&stdin=1&stdout=1&stderr=1';

test('attach is answered 101 with the framed type, and frames both streams', async () => {
  const id = await create({ Cmd: ['both', 'out', 'err'] });
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/v1.51/containers/${id}/attach?${attachAll}`));
  await client.untilText('\r\n\r\n');
  expect(client.text).toBe(
    'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
  );
  await api.containers.start(id);
  await client.untilEnd();
  expect(client.body).toBe(frame(1, 'out\n') + frame(2, 'err\n'));
});

test('before API 1.42 a framed stream has the raw type', async () => {
  const id = await create({ Cmd: ['true'] });
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/v1.41/containers/${id}/attach?${attachAll}`));
  await client.untilText('Content-Type: application/vnd.docker.raw-stream\r\n');
});

test('a terminal is not framed', async () => {
  const id = await create({ Cmd: ['echo', 'bare'], Tty: true });
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/containers/${id}/attach?${attachAll}`));
  await client.untilText('Content-Type: application/vnd.docker.raw-stream\r\n');
  await api.containers.start(id);
  await client.untilEnd();
  expect(client.body).toBe('bare\n');
});

test('a half-close is the end of stdin while output goes on', async () => {
  const id = await create({ Cmd: ['cat'], OpenStdin: true });
  await api.containers.start(id);
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/containers/${id}/attach?${attachAll}`));
  await client.untilText('101 UPGRADED');
  client.send('one');
  await client.untilText('one');
  client.send('two');
  client.halfClose();
  await client.untilEnd();
  expect(client.body).toBe(frame(1, 'one') + frame(1, 'two'));
  expect(api.containers.get(id).state).toMatchObject({ status: 'exited', exitCode: 0 });
});

test('stdin that comes in one packet with the request is not lost', async () => {
  const id = await create({ Cmd: ['cat'], OpenStdin: true });
  await api.containers.start(id);
  using client = await RawConnection.open(path);
  client.send(`${upgradeRequest(`/containers/${id}/attach?${attachAll}`)}early`);
  await client.untilText(frame(1, 'early'));
});

test('a client that goes away frees its session and leaves the process alone', async () => {
  const id = await create({ Cmd: ['tick'] });
  await api.containers.start(id);
  const client = await RawConnection.open(path);
  client.send(upgradeRequest(`/containers/${id}/attach?stream=1&stdout=1`));
  await client.untilText('tick');
  expect(api.containers.openSessions).toBe(1);
  client.socket.destroy();
  await expect.poll(() => api.containers.openSessions).toBe(0);
  expect(api.containers.get(id).state.status).toBe('running');
});

test('a client that detaches by its keys is let go', async () => {
  const id = await create({ Cmd: ['sh'], OpenStdin: true, Tty: true });
  await api.containers.start(id);
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/containers/${id}/attach?${attachAll}`));
  await client.untilText('101 UPGRADED');
  client.send('\x10\x11');
  await client.untilEnd();
  expect(api.containers.get(id).state.status).toBe('running');
  await expect.poll(() => api.containers.openSessions).toBe(0);
});

test('attach to what is not there is an ordinary 404', async () => {
  using client = await RawConnection.open(path);
  client.send(upgradeRequest('/v1.51/containers/nope/attach?stream=1'));
  await client.untilEnd();
  expect(client.text).toMatch(/^HTTP\/1\.1 404 /);
  expect(JSON.parse(client.body)).toEqual({ message: 'No such container: nope' });
});

test('the version range holds on the upgrade path too', async () => {
  using client = await RawConnection.open(path);
  client.send(upgradeRequest('/v1.99/containers/nope/attach?stream=1'));
  await client.untilEnd();
  expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
  expect(client.body).toContain('client version 1.99 is too new');
});

test('a client that does not ask for an upgrade gets 200 and can still write', async () => {
  const id = await create({ Cmd: ['cat'], OpenStdin: true });
  await api.containers.start(id);
  using client = await RawConnection.open(path);
  client.send(plainRequest(`/v1.24/containers/${id}/attach?${attachAll}`));
  await client.untilText('\r\n\r\n');
  expect(client.text).toBe(
    'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n',
  );
  client.send('in');
  await client.untilText(frame(1, 'in'));
  client.halfClose();
  await client.untilEnd();
});

const execIn = (id: string, Cmd: readonly string[]): string =>
  api.containers.createExec(id, { Cmd, AttachStdin: true });

test('exec start runs on the connection with its body', async () => {
  const id = await create({ Cmd: ['tick'] });
  await api.containers.start(id);
  const execId = execIn(id, ['cat']);
  using client = await RawConnection.open(path);
  const request = upgradeRequest(`/v1.51/exec/${execId}/start`, '{"Detach":false,"Tty":false}');
  client.send(request.slice(0, -10));
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.send(`${request.slice(-10)}to cat`);
  await client.untilText(frame(1, 'to cat'));
  client.halfClose();
  await client.untilEnd();
  expect(api.containers.getExec(execId)).toMatchObject({ running: false, exitCode: 0 });
});

test('a command that cannot run is told in the stream, as Docker does', async () => {
  const id = await create({ Cmd: ['tick'] });
  await api.containers.start(id);
  const execId = execIn(id, ['nope']);
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/v1.51/exec/${execId}/start`, '{}'));
  await client.untilEnd();
  expect(client.text).toMatch(/^HTTP\/1\.1 101 /);
  expect(client.body).toContain('executable file not found in $PATH\r\n');
});

test('an exec that is to be detached is answered at once', async () => {
  const id = await create({ Cmd: ['tick'] });
  await api.containers.start(id);
  const execId = execIn(id, ['sleep', '60']);
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/exec/${execId}/start`, '{"Detach":true}'));
  await client.untilEnd();
  expect(client.text).toMatch(/^HTTP\/1\.1 200 /);
  expect(api.containers.getExec(execId).running).toBe(true);
});

test.each([
  ['{"Detach":"yes"}', 'invalid JSON: Detach: must be boolean'],
  ['{', 'invalid JSON: '],
  ['{"ConsoleSize":[24,80]}', 'console size is only supported with TTY'],
])('exec start refuses the body %s', async (body, message) => {
  const id = await create({ Cmd: ['tick'] });
  await api.containers.start(id);
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/exec/${execIn(id, ['true'])}/start`, body));
  await client.untilEnd();
  expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
  expect(client.body).toContain(message);
});

test('exec start of an unknown exec is 404', async () => {
  using client = await RawConnection.open(path);
  client.send(upgradeRequest('/exec/nope/start', '{}'));
  await client.untilEnd();
  expect(client.text).toMatch(/^HTTP\/1\.1 404 /);
});

test('a slow client holds the process back', async () => {
  const id = await create({ Cmd: ['cat'], OpenStdin: true });
  await api.containers.start(id);
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/containers/${id}/attach?${attachAll}`));
  await client.untilText('101 UPGRADED');
  const mebibytes = 8;
  for (let index = 0; index < mebibytes; index += 1) {
    client.send(Buffer.alloc(1024 * 1024, 'x'));
  }
  client.halfClose();
  await client.untilEnd();
  const frames = client.body.replaceAll('x', '').length / 8;
  expect(client.body.length - frames * 8).toBe(mebibytes * 1024 * 1024);
});

test('attach over a websocket carries both directions unframed', async () => {
  const id = await create({ Cmd: ['cat'], OpenStdin: true });
  await api.containers.start(id);
  const socket = new WebSocket(`ws+unix://${path}:/v1.51/containers/${id}/attach/ws?${attachAll}`);
  await once(socket, 'open');
  socket.send('over the socket');
  const [bytes, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
  expect(bytes.toString()).toBe('over the socket');
  expect(isBinary).toBe(true);
  socket.close();
  await expect.poll(() => api.containers.openSessions).toBe(0);
});

test('a websocket to what is not there is refused with 404', async () => {
  const socket = new WebSocket(`ws+unix://${path}:/containers/nope/attach/ws?${attachAll}`);
  const [cause] = (await once(socket, 'error')) as [Error];
  expect(cause.message).toContain('404');
});

test('a client that offers h2c with every request is served as if it had not', async () => {
  using client = await RawConnection.open(path);
  client.send('GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  await client.untilText('OK');
  expect(client.text).toMatch(/^HTTP\/1\.1 200 /);
});

test('closing the daemon ends hijacked connections', async () => {
  const id = await create({ Cmd: ['sh'], OpenStdin: true });
  await api.containers.start(id);
  using client = await RawConnection.open(path);
  client.send(upgradeRequest(`/containers/${id}/attach?${attachAll}`));
  await client.untilText('101 UPGRADED');
  await api[Symbol.asyncDispose]();
  await client.untilEnd();
  expect(api.containers.openSessions).toBe(0);
});
