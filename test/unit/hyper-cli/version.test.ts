import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { parseVersionCall } from '../../../hyper-cli/commands/version.ts';
import { quickGet } from '../../../hyper-cli/quick-get.ts';
import { startFakeApi } from '../../support/fake-api.ts';
import { runHyper } from '../../support/hyper-cli.ts';

async function ownVersion(): Promise<string> {
  const file = path.join(import.meta.dirname, '../../../package.json');
  return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version;
}

describe('hyper version', () => {
  it('shows both sides, as text and as JSON', async () => {
    await using api = await startFakeApi();
    const socket = await api.listenUnix();
    const text = await runHyper(socket, ['version']);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^hyper \S+\nhyperd:\n {2}Version: 0\.1\.0\n {2}ApiVersion: /);
    const json = await runHyper(socket, ['version', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      Client: { Version: await ownVersion() },
      Server: { HyperKernel: '6.12.0-hyper', HardwareAccelerated: false },
    });
  });

  it('shows its own side and fails when no daemon answers', async () => {
    const nowhere = '/nonexistent/hyper.sock';
    const text = await runHyper(nowhere, ['version']);
    expect(text).toMatchObject({ code: 1, stdout: `hyper ${await ownVersion()}\n` });
    const json = await runHyper(nowhere, ['version', '--json']);
    expect(JSON.parse(json.stdout)).toEqual({
      Client: { Version: await ownVersion() },
      Server: null,
    });
  });

  it('is the same whether commander parses it or not', async () => {
    await using api = await startFakeApi();
    const socket = await api.listenUnix();
    const quick = await runHyper(socket, ['-H', `unix://${socket}`, 'version']);
    const parsed = await runHyper(socket, [`--host=unix://${socket}`, 'version']);
    expect(parsed).toEqual(quick);
  });
});

it.each([
  [['version'], { host: undefined, json: false }],
  [['version', '--json'], { host: undefined, json: true }],
  [['-H', 'tcp://a:1', 'version'], { host: 'tcp://a:1', json: false }],
  [['--host', 'tcp://a:1', 'version', '--json'], { host: 'tcp://a:1', json: true }],
  [['version', '--help'], null],
  [['version', 'more'], null],
  [['-H', 'version'], null],
  [['ps', 'version'], null],
  [[], null],
])('of the arguments %j only a plain call of version is taken', (args, expected) => {
  expect(parseVersionCall(args)).toEqual(expected);
});

describe('a quick GET', () => {
  let directory: string;
  let server: Server;
  let host: string;
  let answer: (socket: Socket) => void;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'hyper-get-'));
    const socket = path.join(directory, 's');
    host = `unix://${socket}`;
    server = createServer((connection) => {
      connection.once('data', () => {
        answer(connection);
      });
    });
    server.listen(socket);
    await once(server, 'listening');
  });

  afterEach(async () => {
    server.close();
    await rm(directory, { recursive: true });
  });

  it('reads an answer that comes in pieces, even within a character', async () => {
    answer = (socket) => {
      const bytes = Buffer.from('HTTP/1.1 200 OK\r\nX: y\r\n\r\n{"a":"ä"}');
      socket.write(bytes.subarray(0, bytes.length - 3));
      setTimeout(() => socket.end(bytes.subarray(bytes.length - 3)), 20);
    };
    expect(await quickGet(host, '/x')).toEqual({ a: 'ä' });
  });

  it('rejects with the message of a refusal', async () => {
    answer = (socket) => socket.end('HTTP/1.1 404 Not Found\r\n\r\n{"message":"page not found"}');
    await expect(quickGet(host, '/x')).rejects.toMatchObject({
      message: 'page not found',
      status: 404,
    });
  });

  it('rejects what is not HTTP, with its beginning', async () => {
    answer = (socket) => socket.end('SSH-2.0-OpenSSH');
    await expect(quickGet(host, '/x')).rejects.toThrow('hyperd answered 0: SSH-2.0-OpenSSH');
  });
});
