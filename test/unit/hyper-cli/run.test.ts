import { once } from 'node:events';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { type FakeApi, startFakeApi } from '../../support/fake-api.ts';
import { runHyper, startHyper } from '../../support/hyper-cli.ts';
import { frame } from '../../support/raw-http.ts';

const id = 'c'.repeat(64);
const started = `HTTP/1.1 101 UPGRADED\r\nHyper-Container: ${id}\r\nConnection: Upgrade\r\n\r\n`;

function refusal(status: number, message: string, headers = ''): string {
  const body = JSON.stringify({ message });
  return `HTTP/1.1 ${String(status)} Refused\r\nContent-Length: ${String(body.length)}\r\n${headers}\r\n${body}`;
}

describe('against a daemon with a script', () => {
  let directory: string;
  let server: Server;
  let socket: string;
  /** The requests, as they came. */
  let requests: string[];
  /** Answers a request on its connection. */
  let answer: (connection: Socket) => unknown;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'hyper-run-'));
    socket = path.join(directory, 'sock');
    requests = [];
    server = createServer((connection) => {
      connection.on('error', () => undefined);
      connection.once('data', (bytes) => {
        requests.push(bytes.toString());
        answer(connection);
      });
    });
    await once(server.listen(socket), 'listening');
  });

  afterEach(async () => {
    server.close();
    await rm(directory, { recursive: true });
  });

  const says = (text: string) => (connection: Socket) =>
    connection.end(Buffer.from(text, 'latin1'));
  const run = (...args: string[]) => runHyper(socket, ['run', ...args]);

  it('asks once, for all that there is to do', async () => {
    answer = says(started + frame(4, '{"StatusCode":7}'));
    const flags = ['--rm', '--name', 'a b', '--platform', 'linux/amd64', '--detach-keys', 'ctrl-a'];
    const result = await run(...flags, 'busybox', 'echo', 'ü');
    expect(result).toEqual({ code: 7, stdout: '', stderr: '' });
    expect(requests).toHaveLength(1);
    const [head = '', body = ''] = requests[0]?.split('\r\n\r\n') ?? [];
    expect(head.split('\r\n')).toEqual([
      'POST /hyper/run?name=a%20b&platform=linux%2Famd64&detachKeys=ctrl-a HTTP/1.1',
      'Host: hyper',
      'Connection: Upgrade, close',
      'Upgrade: tcp',
      'Content-Type: application/json',
      `Content-Length: ${String(Buffer.byteLength(body))}`,
    ]);
    expect(JSON.parse(body)).toMatchObject({
      Image: 'busybox',
      Cmd: ['echo', 'ü'],
      AttachStdin: false,
      HostConfig: { AutoRemove: true },
    });
  });

  it('reaches a daemon by TCP', async () => {
    answer = says(started + frame(1, 'over tcp') + frame(4, '{"StatusCode":0}'));
    const overTcp = createServer((connection) => server.emit('connection', connection));
    await once(overTcp.listen(0, '127.0.0.1'), 'listening');
    const { port } = overTcp.address() as AddressInfo;
    const host = `tcp://127.0.0.1:${String(port)}`;
    const result = await runHyper(socket, ['-H', host, 'run', 'busybox']);
    expect(result).toEqual({ code: 0, stdout: 'over tcp', stderr: '' });
    overTcp.close();
  });

  it('reads an answer that comes byte by byte', async () => {
    answer = async (connection) => {
      const text = started + frame(1, 'out\n') + frame(2, 'err\n') + frame(4, '{"StatusCode":3}');
      for (const byte of text) {
        connection.write(Buffer.from(byte, 'latin1'));
        await delay(1);
      }
      connection.end();
    };
    expect(await run('busybox')).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  it('prints what create warns of', async () => {
    answer = says(started + frame(4, '{"Warnings":["beware"]}') + frame(4, '{"StatusCode":0}'));
    expect(await run('busybox')).toEqual({ code: 0, stdout: '', stderr: 'WARNING: beware\n' });
  });

  it('ends with 0 when it was let go', async () => {
    answer = says(started + frame(1, '/ # ') + frame(4, '{"Detached":true}'));
    expect(await run('busybox')).toEqual({ code: 0, stdout: '/ # ', stderr: '' });
  });

  it('does not take a lost connection for the end of the container', async () => {
    answer = says(started + frame(1, 'so far\n'));
    expect(await run('busybox')).toEqual({
      code: 125,
      stdout: 'so far\n',
      stderr:
        'hyper: the connection to hyperd was lost before the container ended\n  hyper ps -a shows what became of it\n',
    });
  });

  const notFound = 'exec: "x": no such file or directory';
  const forbidden = 'exec: "/etc": is a directory';
  const created = `Hyper-Container: ${id}\r\n`;
  it.each([
    ['125 and what failed before there was a container', refusal(500, notFound), 125, notFound],
    ['127 for a command that is missing', refusal(400, notFound, created), 127, notFound],
    ['126 for a command that is none', refusal(400, forbidden, created), 126, forbidden],
    ['125 for another failed start', refusal(500, 'no memory', created), 125, 'no memory'],
    ['125 for a start that missed something', refusal(404, 'gone', created), 125, 'gone'],
    ['125 for no answer', '', 125, 'ended the connection without an answer'],
    ['125 for what is no HTTP', 'SSH-2.0-x\r\n\r\n', 125, 'hyperd answered 0'],
    ['125 for a head without an end', 'x'.repeat(70_000), 125, 'hyperd answered 0'],
    ['125 for a daemon that is older', refusal(404, 'page not found'), 125, 'is an older hyperd'],
  ])('ends with %s', async (_what, text, code, message) => {
    answer = says(text);
    const result = await run('busybox');
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toContain(message);
    expect(requests).toHaveLength(1);
  });

  it('ends quietly when the reader of its output has gone', async () => {
    answer = (connection) => connection.write(Buffer.from(started + frame(1, 'x'), 'latin1'));
    const hyper = startHyper(socket, ['run', 'busybox']);
    let stderr = '';
    hyper.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    hyper.stdout?.destroy();
    expect(await once(hyper, 'close')).toEqual([141, null]);
    expect(stderr).toBe('');
  });
});

describe('against the API', () => {
  let api: FakeApi;
  let socket: string;

  beforeAll(async () => {
    api = await startFakeApi();
    socket = await api.listenUnix();
  });

  afterAll(async () => {
    await api[Symbol.asyncDispose]();
  });

  it('is the same whether commander parses it or not', async () => {
    const words = ['run', '--rm', 'busybox', 'both', 'out', 'err'];
    const quick = await runHyper('/nowhere', ['-H', `unix://${socket}`, ...words]);
    const parsed = await runHyper('/nowhere', [`--host=unix://${socket}`, ...words]);
    expect(quick).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
    expect(parsed).toEqual(quick);
  });

  it('shows the output of a terminal whose input is at its end, and waits for its exit', async () => {
    const run = ['run', '--rm', '-it', 'busybox', 'sh'];
    expect(await runHyper(socket, run, 'exit\n')).toEqual({
      code: 0,
      stdout: '/ # exit\n',
      stderr: '',
    });
  });

  it('lets go when the detach keys come, and the container runs on', async () => {
    const run = ['run', '-it', '--name', 'left', 'busybox', 'sh'];
    expect(await runHyper(socket, run, '\x10\x11')).toMatchObject({ code: 0, stderr: '' });
    expect(api.containers.get('left').state.status).toBe('running');
    await api.containers.remove('left', { force: true });
  });

  it('hands over a file that is its stdin', async () => {
    await using file = await open(import.meta.filename);
    const hyper = startHyper(socket, ['run', '--rm', '-i', 'busybox', 'cat'], file.fd);
    let stdout = '';
    hyper.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    expect(await once(hyper, 'close')).toEqual([0, null]);
    expect(stdout).toBe(await readFile(import.meta.filename, 'utf8'));
  });

  it('leaves a container that could not be started, and takes away one with --rm', async () => {
    expect(await runHyper(socket, ['run', '--name', 'failed', 'busybox', 'nope'])).toMatchObject({
      code: 127,
    });
    expect(api.containers.get('failed').state.status).toBe('created');
    await api.containers.remove('failed', { force: false });
    await runHyper(socket, ['run', '--rm', '--name', 'failed', 'busybox', 'nope']);
    expect(api.containers.list()).toEqual([]);
  });

  it('tells of a pull on stderr alone', async () => {
    const run = ['run', '--rm', '--pull', 'always', 'busybox', 'echo', 'hi'];
    const result = await runHyper(socket, run);
    expect(result).toMatchObject({ code: 0, stdout: 'hi\n' });
    expect(result.stderr).toContain('Pulling from');
  });
});
