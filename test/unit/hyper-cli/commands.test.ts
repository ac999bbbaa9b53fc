import { once } from 'node:events';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type FakeApi, startFakeApi } from '../../support/fake-api.ts';
import { fakeWaitingVm } from '../../support/fake-container.ts';
import { runHyper, startHyper } from '../../support/hyper-cli.ts';

let api: FakeApi;
let socket: string;

/** Our command line as a process of its own, against the daemon's real API with containers in memory. */
beforeAll(async () => {
  api = await startFakeApi();
  socket = await api.listenUnix();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const timelineText = [
  'origin             boot',
  'spawn              10.0',
  'agent             200.0',
  'total             210.0',
  '',
].join('\n');

function hyper(...args: string[]) {
  return runHyper(socket, args);
}

async function create(name: string, ...command: string[]): Promise<string> {
  const { stdout } = await hyper('create', '--name', name, 'busybox', ...command);
  return stdout.trim();
}

describe('hyper run', () => {
  it('passes on output by stream, and the exit code', async () => {
    const result = await hyper('run', '--rm', 'busybox', 'both', 'out', 'err');
    expect(result).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  it('hands stdin over to its end', async () => {
    const input = 'x'.repeat(300_000);
    const result = await runHyper(socket, ['run', '--rm', '-i', 'busybox', 'cat'], input);
    expect(result.code).toBe(0);
    expect(result.stdout === input).toBe(true);
  });

  it('does not read stdin that it was not told to', async () => {
    const result = await runHyper(socket, ['run', '--rm', 'busybox', 'echo', 'hi'], 'unread');
    expect(result).toEqual({ code: 0, stdout: 'hi\n', stderr: '' });
  });

  it('ends with 127 and the reason when the command does not exist', async () => {
    const result = await hyper('run', '--rm', 'busybox', 'nope');
    expect(result.code).toBe(127);
    expect(result.stderr).toContain('exec: "nope": executable file not found in $PATH');
  });

  it.each([
    ['an image that no registry has', ['run', 'missing'], 'pull access denied for'],
    ['an image that must not be pulled', ['run', '--pull', 'never', 'none'], 'No such image: none'],
    ['a flag that does not exist', ['run', '--nope', 'busybox'], "unknown option '--nope'"],
    ['a flag with a bad value', ['run', '--cpus', 'two', 'busybox'], '--cpus: "two" is no number'],
    ['no image', ['run'], "missing required argument 'image'"],
  ])('ends with 125 for %s', async (_what, args, message) => {
    const result = await hyper(...args);
    expect(result.code).toBe(125);
    expect(result.stderr).toContain(message);
  });

  it('ends with 128 and the signal when the process was killed', async () => {
    const run = startHyper(socket, ['run', '--name', 'victim', 'busybox', 'tick']);
    const closed = once(run, 'close');
    await once(run.stdout!, 'data');
    expect((await hyper('kill', 'victim')).stdout).toBe('victim\n');
    expect(await closed).toEqual([137, null]);
  });

  it('hands a signal that it gets over to the container', async () => {
    const run = startHyper(socket, ['run', '--rm', 'busybox', 'tick']);
    await once(run.stdout!, 'data');
    run.kill('SIGTERM');
    expect(await once(run, 'close')).toEqual([143, null]);
  });

  it('pulls an image that is not there, telling so on stderr only', async () => {
    const result = await hyper('run', '--rm', 'fresh', 'echo', 'hi');
    expect(result).toMatchObject({ code: 0, stdout: 'hi\n' });
    expect(result.stderr).toContain("Unable to find image 'fresh' locally\n");
  });

  it('prints the timeline of the start to stderr after the output', async () => {
    const run = ['run', '--rm', '-i', '--timeline', 'busybox', 'cat'];
    expect(await runHyper(socket, run, 'output\n')).toEqual({
      code: 0,
      stdout: 'output\n',
      stderr: timelineText,
    });
  });

  it('knows the timeline of a command that has ended at once', async () => {
    const run = ['run', '--name', 'brief', '--timeline', 'busybox', 'true'];
    expect(await hyper(...run)).toEqual({ code: 0, stdout: '', stderr: timelineText });
    expect((await hyper('vm', 'timeline', 'brief')).stdout).toBe(timelineText);
    await hyper('rm', 'brief');
  });

  it('says so when the container was removed before its timeline was read', async () => {
    const { code, stderr } = await hyper('run', '--rm', '--timeline', 'busybox', 'true');
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'hyper: the container was removed before its timeline was read\n',
    });
  });

  it('prints the id alone in the background', async () => {
    const { code, stdout } = await hyper('run', '-d', '--name', 'quiet', 'busybox', 'sleep', '60');
    expect({ code, isId: /^[0-9a-f]{64}\n$/.test(stdout) }).toEqual({ code: 0, isId: true });
    await hyper('rm', '-f', 'quiet');
  });
});

describe('hyper ps', () => {
  it('shows names, short ids and cut commands, and whole ones when asked', async () => {
    const id = await create('lister', 'echo', 'many', 'words', 'that', 'go', 'on');
    const { stdout } = await hyper('ps', '-a', '--filter', 'name=lister');
    const [header = '', row = ''] = stdout.split('\n');
    expect(header).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/);
    expect(row).toContain(`${id.slice(0, 12)}   busybox   "echo many words tha…"`);
    const whole = await hyper('ps', '-a', '--no-trunc', '--filter', 'name=lister');
    expect(whole.stdout).toContain(`${id}   busybox   "echo many words that go on"`);
    await hyper('rm', 'lister');
  });

  it('lists ids, JSON and templates', async () => {
    const id = await create('formed');
    const only = ['ps', '-a', '--filter', 'name=formed'];
    expect((await hyper(...only, '-q')).stdout).toBe(`${id.slice(0, 12)}\n`);
    expect(JSON.parse((await hyper(...only, '--json')).stdout)).toMatchObject({ Names: 'formed' });
    const { stdout } = await hyper(...only, '--format', '{{.Names}} {{.State}}');
    expect(stdout).toBe('formed created\n');
    await hyper('rm', 'formed');
  });
});

describe('other commands', () => {
  it('images lists names and sizes', async () => {
    const { stdout } = await hyper('images', '--format', '{{.Repository}}:{{.Tag}} {{.Size}}');
    expect(stdout).toContain('busybox:latest 4.2MB\n');
  });

  it('exec passes on the exit code and stdin', async () => {
    await hyper('run', '-d', '--name', 'host', 'busybox', 'sleep', '60');
    const both = await hyper('exec', 'host', 'both', 'a', 'b');
    expect(both).toEqual({ code: 3, stdout: 'a\n', stderr: 'b\n' });
    const cat = await runHyper(socket, ['exec', '-i', 'host', 'cat'], 'through');
    expect(cat).toEqual({ code: 0, stdout: 'through', stderr: '' });
    await hyper('rm', '-f', 'host');
  });

  it('logs prints each stream where it belongs', async () => {
    await hyper('run', '--name', 'logged', 'busybox', 'both', 'a', 'b');
    expect(await hyper('logs', 'logged')).toEqual({ code: 0, stdout: 'a\n', stderr: 'b\n' });
    await hyper('rm', 'logged');
  });

  it('inspect finds containers and images, and says so of neither', async () => {
    const id = await create('looked');
    const found = await hyper('inspect', '--format', '{{.Id}}', 'looked', 'busybox');
    expect(found.stdout.split('\n').slice(0, 2)).toEqual([
      id,
      expect.stringMatching(/^sha256:/) as string,
    ]);
    expect(await hyper('inspect', 'neither')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'hyper: No such object: neither\n  hyper ps -a and hyper images list what there is\n',
    });
    await hyper('rm', 'looked');
  });

  it('vm timeline and vm ls show the VM of a running container', async () => {
    await hyper('run', '-d', '--name', 'timed', 'busybox', 'sleep', '60');
    const { stdout } = await hyper('vm', 'timeline', 'timed');
    expect(stdout).toBe(timelineText);
    expect((await hyper('vm', 'ls', '--format', '{{.ContainerName}} {{.StartMs}}')).stdout).toBe(
      'timed 210\n',
    );
    await hyper('rm', '-f', 'timed');
  });

  it('vm ls tells where VMs came from, and which ones wait', async () => {
    api.containers.warm = { templates: true, poolSize: 1, waiting: [fakeWaitingVm], parents: [] };
    const id = await create('owner', 'sleep', '60');
    await hyper('start', 'owner');
    const { stdout } = await hyper('vm', 'ls');
    expect(stdout.replace(/ +/g, ' ')).toBe(
      'CONTAINER STATE ORIGIN HYPERVISOR PID CPUS MEMORY KERNEL START\n' +
        'owner running boot fake 4242 1 128MiB 6.12.0-hyper 210ms\n' +
        '- waiting pool fake 4343 1 128MiB 6.12.0-hyper -\n',
    );
    expect((await hyper('vm', 'ls', '-q')).stdout).toBe(`${id.slice(0, 12)}\n`);
    const [, waiting = ''] = (await hyper('vm', 'ls', '--json')).stdout.split('\n');
    const fields = { ContainerId: '', State: 'waiting', Origin: 'pool' };
    expect(JSON.parse(waiting)).toMatchObject(fields);
    await hyper('rm', '-f', 'owner');
    api.containers.warm = { templates: false, poolSize: 0, waiting: [], parents: [] };
  });

  it('an unknown one is told with the nearest that there is', async () => {
    const { code, stderr } = await hyper('imags');
    expect(code).toBe(125);
    expect(stderr).toContain("unknown command 'imags'\n(Did you mean images?)");
  });

  it('the daemon’s refusals are printed in its own words', async () => {
    const { code, stderr } = await hyper('stop', 'nobody');
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'hyper: No such container: nobody\n' });
  });
});

describe('without a daemon', () => {
  const nowhere = ['-H', 'unix:///nonexistent/hyper.sock'];

  it.each([
    ['ps', ['ps'], 1],
    ['run', ['run', 'busybox'], 125],
    ['version', ['version'], 1],
  ])('%s says where it looked and how to start one', async (_name, args, expected) => {
    const { code, stderr } = await hyper(...nowhere, ...args);
    expect(code).toBe(expected);
    expect(stderr).toBe(
      'hyper: cannot reach hyperd at unix:///nonexistent/hyper.sock: ENOENT\n  start it with `npm run daemon` (or `hyperd`), or name another one with --host or HYPER_HOST\n',
    );
  });
});

it('a host that is no address is refused with a hint', async () => {
  const { code, stderr } = await hyper('-H', 'ftp://x', 'ps');
  expect(code).toBe(1);
  expect(stderr).toContain(
    'host "ftp://x" is neither unix://PATH nor tcp://NAME:PORT\n  leave out',
  );
});

it('ends quietly when the reader of its output has gone', async () => {
  const list = startHyper(socket, ['images']);
  let stderr = '';
  list.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  list.stdout?.destroy();
  expect(await once(list, 'close')).toEqual([141, null]);
  expect(stderr).toBe('');
});
