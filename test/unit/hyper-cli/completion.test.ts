import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { run } from '../../../hyperd/base/subprocess.ts';
import { type FakeApi, startFakeApi } from '../../support/fake-api.ts';
import { runHyper } from '../../support/hyper-cli.ts';

let api: FakeApi;
let socket: string;

beforeAll(async () => {
  api = await startFakeApi();
  socket = await api.listenUnix();
  await runHyper(socket, ['create', '--name', 'web-1', 'busybox']);
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

async function isInstalled(shell: string): Promise<boolean> {
  return await run(shell, ['-c', 'exit 0']).then(
    () => true,
    () => false,
  );
}

for (const shell of ['bash', 'zsh', 'fish']) {
  it.skipIf(!(await isInstalled(shell)))(`the script for ${shell} is valid`, async () => {
    const { stdout } = await runHyper(socket, ['completion', shell]);
    await expect(run(shell, ['-n'], { input: stdout })).resolves.toBeDefined();
  });
}

it('an unknown shell is refused with those that there are', async () => {
  const { code, stderr } = await runHyper(socket, ['completion', 'csh']);
  expect(code).toBe(125);
  expect(stderr).toContain('Allowed choices are bash, zsh, fish.');
});

describe('what can follow', () => {
  it.each([
    [['im'], 'images\n'],
    [['run', '--ent'], '--entrypoint\n'],
    [['vm', 'time'], 'timeline\n'],
    [['completion', ''], 'bash\nzsh\nfish\n'],
    [['exec', 'we'], 'web-1\n'],
    [['run', 'busy'], 'busybox:latest\n'],
    [['run', '--rm', 'busy'], 'busybox:latest\n'],
    [['run', '--name', 'busy'], ''],
    [['run', 'busybox', 'busy'], ''],
    [['rm', 'other', 'we'], 'web-1\n'],
    [['stats', 'we'], 'web-1\n'],
    [['stats', '--no'], '--no-stream\n'],
    [['inspect', ''], 'web-1\nbusybox:latest\n'],
    [['vm', 'console', 'we'], 'web-1\n'],
    [['vm', 'ls', '--q'], '--quiet\n'],
    [['ps', ''], ''],
  ])('%j is completed', async (words, expected) => {
    const { code, stdout } = await runHyper(socket, ['__complete', '--', ...words]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expected });
  });

  it('of nothing is every command but the hidden one', async () => {
    const { stdout } = await runHyper(socket, ['__complete', '--', '']);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['run', 'ps', 'doctor', 'vm']));
    expect(stdout).not.toContain('__complete');
  });
});

it('bash completes a command with the script', async () => {
  const { stdout } = await runHyper(socket, ['completion', 'bash']);
  const check = `hyper() { echo "called:$*"; }; ${stdout}
    COMP_WORDS=(hyper exec we); COMP_CWORD=2; _hyper; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout: completed } = await run('bash', ['-c', check]);
  expect(completed).toBe('called:__complete\n--\nexec\nwe\n');
});
