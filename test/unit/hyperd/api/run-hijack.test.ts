import { afterEach, beforeEach, describe, expect, test } from 'vitest';

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

const body = (Cmd: readonly string[], more: object = {}): string =>
  JSON.stringify({ Image: 'busybox', Cmd, ...more });
const withStdin = { OpenStdin: true, StdinOnce: true, AttachStdin: true };
const autoRemove = { HostConfig: { AutoRemove: true } };
const exitFrame = (StatusCode: number): string => frame(4, JSON.stringify({ StatusCode }));

/** A connection that has sent its request. */
async function run(request: string, query = ''): Promise<RawConnection> {
  const client = await RawConnection.open(path);
  client.send(upgradeRequest(`/v1.51/hyper/run${query}`, request));
  return client;
}

function containerIdOf(client: RawConnection): string {
  return /^Hyper-Container: ([0-9a-f]{64})\r$/m.exec(client.text)?.[1] ?? '';
}

describe('a run', () => {
  test('is answered 101 with the container, then has its output in frames and its exit', async () => {
    using client = await run(body(['both', 'out', 'err']), '?name=job&platform=linux/amd64');
    await client.untilEnd();
    const [{ id } = { id: '' }] = api.containers.list();
    expect(client.text).toBe(
      `HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nHyper-Container: ${id}\r\n\r\n` +
        frame(1, 'out\n') +
        frame(2, 'err\n') +
        exitFrame(3),
    );
    expect(api.containers.get(id)).toMatchObject({ name: 'job', state: { status: 'exited' } });
    expect(api.containers.created[0]?.platform).toEqual({ os: 'linux', architecture: 'amd64' });
    expect(api.containers.openSessions).toBe(0);
  });

  test('tells of its exit when the container has been removed, if it is to be', async () => {
    using client = await run(body(['true'], autoRemove));
    await client.untilText(exitFrame(0));
    expect(api.containers.list()).toEqual([]);
    await client.untilEnd();
  });

  test('begins with what create warns of', async () => {
    api.containers.warnings = ['beware', 'of this'];
    using client = await run(body(['echo', 'hi']));
    await client.untilEnd();
    const warnings = frame(4, '{"Warnings":["beware","of this"]}');
    expect(client.body).toBe(warnings + frame(1, 'hi\n') + exitFrame(0));
  });

  test('frames the output of a terminal, too', async () => {
    using client = await run(body(['echo', 'bare'], { Tty: true }));
    await client.untilEnd();
    expect(client.body).toBe(frame(1, 'bare\n') + exitFrame(0));
  });

  test('hands over stdin, also what comes in one packet with the request, to a half-close', async () => {
    using client = await run(body(['cat'], withStdin));
    await client.untilText('\r\n\r\n');
    client.send('late');
    await client.untilText(frame(1, 'late'));
    client.halfClose();
    await client.untilEnd();
    expect(client.body).toBe(frame(1, 'late') + exitFrame(0));

    using early = await RawConnection.open(path);
    early.send(`${upgradeRequest('/hyper/run', body(['cat'], withStdin))}early`);
    await early.untilText(frame(1, 'early'));
  });

  test('keeps what a client sends from a stdin that is not to be attached', async () => {
    using client = await run(body(['cat'], { ...withStdin, AttachStdin: false }));
    await client.untilText('\r\n\r\n');
    client.send('nobody reads this');
    client.halfClose();
    await api.containers.kill(containerIdOf(client), 'SIGTERM');
    await client.untilEnd();
    expect(client.body).toBe(exitFrame(143));
  });

  test('takes a body as large as create does', async () => {
    using client = await run(body(['true'], { Env: [`LONG=${'x'.repeat(1024 * 1024)}`] }));
    await client.untilText(exitFrame(0));
  });
});

describe('a client', () => {
  test('that goes away leaves its container alone', async () => {
    using client = await run(body(['tick'], autoRemove));
    await client.untilText('tick');
    expect(api.containers.openSessions).toBe(1);
    client.socket.destroy();
    await expect.poll(() => api.containers.openSessions).toBe(0);
    expect(api.containers.get(containerIdOf(client)).state.status).toBe('running');
  });

  test.each([
    [
      'types its detach keys',
      (client: RawConnection) => {
        client.send('\x10\x11');
      },
    ],
    [
      'closes its side of a terminal',
      (client: RawConnection) => {
        client.halfClose();
      },
    ],
  ])('that %s is let go, and the container runs on', async (_what, leave) => {
    using client = await run(body(['sh'], { ...withStdin, Tty: true }));
    await client.untilText('/ # ');
    leave(client);
    await client.untilEnd();
    expect(client.body).toBe(frame(1, '/ # ') + frame(4, '{"Detached":true}'));
    expect(api.containers.get(containerIdOf(client)).state.status).toBe('running');
    await expect.poll(() => api.containers.openSessions).toBe(0);
  });

  test('is told of no exit when the daemon goes', async () => {
    using client = await run(body(['tick']));
    await client.untilText('tick');
    await api[Symbol.asyncDispose]();
    await client.untilEnd();
    expect(client.body.replaceAll(frame(1, 'tick\n'), '')).toBe('');
    expect(api.logged).toEqual([]);
  });
});

describe('a run that cannot be', () => {
  test.each([
    ['an image that is not there', '{"Image":"none"}', '', 404, 'No such image: none'],
    ['no body', '', '', 400, 'config cannot be empty in order to create a container'],
    ['a body that is no JSON', '{', '', 400, 'invalid JSON: '],
    ['a bad field', '{"Image":"busybox","Tty":1}', '', 400, 'invalid JSON: Tty: must be boolean'],
    [
      'what Hyper does not honour',
      '{"Image":"busybox","HostConfig":{"NetworkMode":"host"}}',
      '',
      501,
      'not supported by Hyper yet: HostConfig.NetworkMode "host"',
    ],
    ['a bad platform', '{"Image":"busybox"}', '?platform=a/b/c/d', 400, 'invalid platform'],
    [
      'detach keys that there are not',
      '{"Image":"busybox"}',
      '?detachKeys=ctrl-1',
      400,
      'Invalid detach keys (ctrl-1)',
    ],
  ])('for %s is refused, and there is no container', async (...row) => {
    const [, request, query, status, message] = row;
    using client = await run(request, query);
    await client.untilEnd();
    expect(client.text).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `));
    expect((JSON.parse(client.body) as { message: string }).message).toContain(message);
    expect(client.text).not.toContain('Hyper-Container');
    expect(api.containers.list()).toEqual([]);
  });

  test('for a name that is taken is refused as create does', async () => {
    using first = await run(body(['true']), '?name=taken');
    await first.untilEnd();
    using second = await run(body(['true']), '?name=taken');
    await second.untilEnd();
    expect(second.text).toMatch(/^HTTP\/1\.1 409 /);
    expect(second.body).toContain('The container name \\"/taken\\" is already in use');
  });

  test('for a body over the limit is refused', async () => {
    using client = await RawConnection.open(path);
    const length = 4 * 1024 * 1024 + 1;
    client.send(
      `POST /hyper/run HTTP/1.1\r\nHost: hyper\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: ${String(length)}\r\n\r\n`,
    );
    await client.untilEnd();
    expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
    expect(client.body).toContain('request body too large');
  });

  test.each([
    ['leaves the container', {}, 1],
    ['removes a container that is to be removed', autoRemove, 0],
  ])('started is an error that names the container, and %s', async (_what, more, left) => {
    using client = await run(body(['nope'], more));
    await client.untilEnd();
    expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(client.body)).toEqual({
      message: 'exec: "nope": executable file not found in $PATH',
    });
    expect(containerIdOf(client)).not.toBe('');
    const states = api.containers.list().map(({ id, state }) => [id, state.status]);
    expect(states).toEqual([[containerIdOf(client), 'created']].slice(0, left));
    expect(api.containers.openSessions).toBe(0);
  });

  test('because nobody asked for an upgrade says what to ask for', async () => {
    using client = await RawConnection.open(path);
    client.send(plainRequest('/hyper/run', body(['true'])));
    await client.untilText('Upgrade: tcp');
    expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
    expect(api.containers.list()).toEqual([]);
  });
});
