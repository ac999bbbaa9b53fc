import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { helpText, readCommandLine } from '../../../hyperd/config.ts';

let directory = '';
let file = '';

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-config-'));
  file = path.join(directory, 'hyperd.json');
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

const read = async (args: readonly string[], content: unknown = {}) => {
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  const commandLine = await readCommandLine(['--config-file', file, ...args]);
  expect(commandLine.action).toBe('run');
  return (commandLine as Extract<typeof commandLine, { action: 'run' }>).config;
};

test('without flags and file everything has its default', async () => {
  await expect(read([])).resolves.toMatchObject({
    hosts: ['unix:///run/hyper/hyper.sock'],
    dataRoot: '/var/lib/hyper',
    hypervisor: 'qemu',
    mtu: 1500,
    dns: [],
    logLevel: 'info',
  });
});

test('flags win over the file', async () => {
  const config = await read(
    ['-H', 'unix:///tmp/a.sock', '--host', 'unix:///tmp/b.sock', '--log-level=debug'],
    { hosts: ['unix:///tmp/c.sock'], 'log-level': 'warn', 'data-root': '/srv/hyper', mtu: 1400 },
  );
  expect(config).toMatchObject({
    hosts: ['unix:///tmp/a.sock', 'unix:///tmp/b.sock'],
    logLevel: 'debug',
    dataRoot: '/srv/hyper',
    mtu: 1400,
  });
});

test('all faults are told at once', async () => {
  const args = ['--nope', '--mtu', 'big', 'stray', '--data-root', 'relative'];
  await expect(read(args, { unknown: 1, dns: 'x', 'log-level': 'loud' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: [
      '--nope: there is no such flag',
      'stray: hyperd takes flags only',
      `${file}: "unknown": there is no such setting`,
      '--data-root: "relative" must be an absolute path',
      '--mtu: "big" must be a number from 576 to 65520',
      '"dns": must be a list of strings',
      '"log-level": "loud" must be one of trace, debug, info, warn, error, fatal',
    ].join('\n'),
  });
});

test.each([
  ['{', 'not JSON'],
  ['[]', 'not a JSON object'],
])('a configuration file with %s is refused', async (content, fault) => {
  await expect(read([], content)).rejects.toThrow(fault);
});

test('a configuration file that was named must be there', async () => {
  const args = ['--config-file', path.join(directory, 'absent.json')];
  await expect(readCommandLine(args)).rejects.toThrow('absent.json: ENOENT');
});

test('VMs start from templates and two of them wait, unless something else is said', async () => {
  const usual = { template: 'on', poolSize: 2, poolMax: 20 };
  await expect(read([])).resolves.toMatchObject(usual);
  const flags = ['--template=off', '--pool-size', '0', '--pool-max=7', '--pool-memory', '2048'];
  await expect(read(['--pool-size', '50'])).resolves.toMatchObject({ poolMax: 50 });
  const changed = { template: 'off', poolSize: 0, poolMax: 7, poolMemoryMiB: 2048 };
  await expect(read(flags)).resolves.toMatchObject(changed);
  const file = { template: 'off', 'pool-size': 0, 'pool-max': 7, 'pool-memory': '2048' };
  await expect(read([], file)).resolves.toMatchObject(changed);
});

test('an idle VM is trimmed after a minute, unless something else is said', async () => {
  await expect(read([])).resolves.toMatchObject({ trimAfterSeconds: 60 });
  await expect(read(['--trim-after=0'])).resolves.toMatchObject({ trimAfterSeconds: 0 });
  await expect(read(['--trim-after', 'soon'])).rejects.toThrow('--trim-after: "soon" must be');
});

test('waiting VMs may take a tenth of the host, and 512 MiB wherever they run', async () => {
  const { poolMemoryMiB } = await read([]);
  const tenth = Math.floor(totalmem() / 1024 ** 2 / 10);
  expect(poolMemoryMiB).toBe(Math.max(512, tenth));
});

test.each([
  [['--template', 'yes'], '--template: "yes" must be on or off'],
  [['--template='], '--template: "" must be on or off'],
  [['--pool-size', 'two'], '--pool-size: "two" must be a number from 0 to 1000'],
  [['--pool-size=-1'], '--pool-size: "-1" must be a number from 0 to 1000'],
  [['--pool-size', '1.5'], '--pool-size: "1.5" must be a number from 0 to 1000'],
  [['--pool-size', '1001'], '--pool-size: "1001" must be a number from 0 to 1000'],
  [['--pool-size=5', '--pool-max=4'], '--pool-max: "4" must be at least that of --pool-size, 5'],
  [['--pool-max', '-1'], '--pool-max: "-1" must be a number from 0 to 1000'],
  [['--pool-memory', '512M'], '--pool-memory: "512M" must be a number from 0 to 1048576'],
  [['--pool-memory='], '--pool-memory: "" must be a number from 0 to 1048576'],
])('%j names the flag and what it takes', async (args, fault) => {
  await expect(read(args)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: fault });
});

test('bad values in the file are named by their keys', async () => {
  const content = { template: true, 'pool-size': -1, 'pool-memory': [] };
  await expect(read([], content)).rejects.toThrow(
    [
      '"template": must be a string',
      '"pool-size": "-1" must be a number from 0 to 1000',
      '"pool-memory": must be a string',
    ].join('\n'),
  );
});

test('a flag without its value is a fault', async () => {
  await expect(read(['--kernel'])).rejects.toThrow('--kernel: a value must follow');
});

test('a TCP host needs certificates', async () => {
  await expect(read(['-H', 'tcp://0.0.0.0:2376'])).rejects.toThrow(
    '--tlscacert: must be given with tcp:// hosts\n--tlscert',
  );
});

test.each(['http://x', 'unix://relative', 'tcp://:1', 'tcp://a:99999', 'tcp://a'])(
  'host %s is refused',
  async (host) => {
    await expect(read(['-H', host])).rejects.toThrow('must be unix:///path or tcp://address:port');
  },
);

test('help names every flag and version is asked for by -v', async () => {
  expect(await readCommandLine(['--help'])).toEqual({ action: 'help' });
  expect(await readCommandLine(['-v'])).toEqual({ action: 'version' });
  expect(helpText()).toContain('-H, --host <url>');
  expect(helpText()).toContain('--insecure-registry <host>');
});
