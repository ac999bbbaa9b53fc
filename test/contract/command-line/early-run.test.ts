import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { parseRunCall } from '../../../hyper-cli/commands/run-call.ts';
import { runRequest } from '../../../hyper-cli/commands/run-options.ts';
import { runRequestText } from '../../../hyper-cli/run-request-text.ts';
import { run } from '../../../hyperd/base/subprocess.ts';
import { buildEarlyRun } from '../../../setup/cli-bundle.ts';

/** What Node tells of how it was started; the answer is what it reads from the connection that it got. */
interface Told {
  readonly args: readonly string[];
  readonly sent: string | null;
  readonly answer: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly blockedSignals: string;
}

const program = `
const { readFileSync, writeFileSync } = require('node:fs');
const { HYPER_SENT_REQUEST: sent = null, ...environment } = process.env;
const blockedSignals = /SigBlk:\\s*(\\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
const tell = (answer) => {
  const told = { args: process.argv.slice(2), sent, answer, environment, blockedSignals };
  writeFileSync(process.env.TOLD, JSON.stringify(told));
};
if (sent === null) tell('');
else {
  const socket = new (require('node:net').Socket)({ fd: Number(sent) });
  socket.setEncoding('utf8').once('data', (text) => { tell(text); socket.end(); });
  socket.write('and more');
}
`;

let directory = '';
let earlyRun = '';
let server: Server;
let received = '';

beforeAll(async () => {
  earlyRun = await buildEarlyRun();
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-early-run-'));
  await writeFile(path.join(directory, 'node.cjs'), program);
  server = createServer((socket) => {
    socket.on('data', (chunk) => {
      received += chunk.toString();
      // Node has taken over when there is more than the request.
      if (received.endsWith('and more')) socket.write('the answer');
    });
  });
  const { promise, resolve } = Promise.withResolvers<undefined>();
  server.listen(socketPath(), () => {
    resolve(undefined);
  });
  await promise;
});

afterAll(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

function socketPath(): string {
  return path.join(directory, 'hyper.sock');
}

async function callWith(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Told> {
  received = '';
  const told = path.join(directory, 'told.json');
  const env = { ...process.env, HYPER_HOST: `unix://${socketPath()}`, TOLD: told, ...environment };
  await run(earlyRun, [process.execPath, path.join(directory, 'node.cjs'), ...args], { env });
  return JSON.parse(await readFile(told, 'utf8')) as Told;
}

function requestOf(args: readonly string[]): string {
  const call = parseRunCall(args);
  if (call === null) throw new Error('no plain run');
  const request = runRequest(call.image, call.command, call.options);
  return runRequestText(request, (text) => Buffer.byteLength(text));
}

describe('early-run', () => {
  it('sends what Node would send, and hands the connection over', async () => {
    const flags = [
      '--rm',
      '-it',
      '--name',
      'näme&1',
      '-p',
      '8080:80/udp',
      '-m',
      '64m',
      '--cpus=1.5',
    ];
    const args = ['run', ...flags, '-l', 'a=b', 'busybox', 'echo', '', 'ein Wört', '"x"\n'];

    const told = await callWith(args);

    expect(received).toBe(`${requestOf(args)}and more`);
    expect(told.answer).toBe('the answer');
    expect(told.args).toEqual(args);
  });

  it('leaves environment and signals as they were', async () => {
    const told = await callWith(['run', '-e', 'OURS', '-e', 'NONE', 'busybox'], {
      OURS: 'ä = b',
      EMPTY: '',
    });

    expect(received).toContain('"Env":["OURS=ä = b","NONE"]');
    expect(told.environment).toMatchObject({ OURS: 'ä = b', EMPTY: '' });
    expect(told.environment['PATH']).toBe(process.env['PATH']);
    expect(told.blockedSignals).toBe('0000000000000000');
  });

  it('sends long requests whole', async () => {
    const args = ['run', 'busybox', 'echo', 'x'.repeat(120_000)];

    const told = await callWith(args);

    expect(received).toBe(`${requestOf(args)}and more`);
    expect(told.args).toEqual(args);
  });

  it.each([
    ['another command', ['ps', '-a'], {}],
    ['a run in the background', ['run', '-d', 'busybox'], {}],
    ['a flag that it does not know', ['run', '--unknown', 'busybox'], {}],
    ['a faulty value', ['run', '-m', 'much', 'busybox'], {}],
    ['an image that is pulled first', ['run', '--pull', 'always', 'busybox'], {}],
    ['files', ['run', '--env-file', '/dev/null', 'busybox'], {}],
    ['a host elsewhere', ['run', 'busybox'], { HYPER_HOST: 'tcp://127.0.0.1:1' }],
    ['a daemon that is not there', ['run', 'busybox'], { HYPER_HOST: 'unix:///nowhere' }],
    ['a path that is too long', ['run', 'busybox'], { HYPER_HOST: `unix:///${'x'.repeat(200)}` }],
    ['no arguments', [], {}],
  ])('leaves %s to Node', async (_what, args, environment) => {
    const told = await callWith(args, environment);

    expect(told.sent).toBeNull();
    expect(told.args).toEqual(args);
    expect(received).toBe('');
  });
});
