import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { run } from '../../../../hyperd/base/subprocess.ts';
import { type FakeApi, startFakeApi } from '../../../support/fake-api.ts';
import { RawConnection } from '../../../support/raw-http.ts';

let api: FakeApi;
let directory: string;
let socketPath: string;

beforeEach(async () => {
  api = await startFakeApi();
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-listen-'));
  socketPath = path.join(directory, 'hyper.sock');
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const unix = () => ({ kind: 'unix', path: socketPath, groupId: null }) as const;

test('the socket is for its owner and group alone', async () => {
  await api.listen([unix()]);
  expect((await stat(socketPath)).mode & 0o777).toBe(0o660);
});

test('closing removes the socket', async () => {
  await api.listen([unix()]);
  await api[Symbol.asyncDispose]();
  await expect(stat(socketPath)).rejects.toThrow('ENOENT');
});

test('the socket of a daemon that died is replaced', async () => {
  const script = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await expect(run(process.execPath, ['-e', script])).rejects.toThrow('SIGKILL');
  expect((await stat(socketPath)).isSocket()).toBe(true);
  await api.listen([unix()]);
  using client = await RawConnection.open(socketPath);
  client.send('GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.untilText('OK');
});

test('the socket of a living daemon is left alone', async () => {
  const other = createServer().listen(socketPath);
  await once(other, 'listening');
  await expect(api.listen([unix()])).rejects.toMatchObject({
    code: 'CONFLICT',
    message: `listening on ${socketPath}: another daemon answers there`,
  });
  expect(other.listening).toBe(true);
  other.close();
  await once(other, 'close');
});

test('a file in the place of the socket is not deleted', async () => {
  await writeFile(socketPath, 'precious');
  await expect(api.listen([unix()])).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await readFile(socketPath, 'utf8')).toBe('precious');
});

test('when one address fails none stays', async () => {
  await chmod(directory, 0o700);
  const bad = { kind: 'unix', path: path.join(directory, 'no/such.sock'), groupId: null } as const;
  await expect(api.listen([unix(), bad])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(stat(socketPath)).rejects.toThrow('ENOENT');
});

async function certificates(): Promise<Record<'ca' | 'cert' | 'key', string>> {
  const file = (name: string): string => path.join(directory, name);
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', [
    ...['req', '-x509', '-days', '1', ...curve, ...subject],
    ...['-keyout', file('key.pem'), '-out', file('cert.pem')],
  ]);
  const [cert = '', key = ''] = await Promise.all(
    ['cert.pem', 'key.pem'].map((name) => readFile(file(name), 'utf8')),
  );
  return { ca: cert, cert, key };
}

test('over TCP a client must show a certificate', async () => {
  const { ca, cert, key } = await certificates();
  const [port = 0] = await api.listen([
    { kind: 'tcp', host: '127.0.0.1', port: 0, tls: { cert, key, clientCa: ca } },
  ]);
  const options = { host: '127.0.0.1', servername: 'localhost', port, path: '/_ping', ca };

  const trusted = request({ ...options, cert, key, agent: false }).end();
  const [answer] = (await once(trusted, 'response')) as [import('node:http').IncomingMessage];
  expect(answer.statusCode).toBe(200);
  answer.resume();

  const stranger = request({ ...options, agent: false }).end();
  const [cause] = (await once(stranger, 'error')) as [Error];
  expect(cause).toBeInstanceOf(Error);
});
