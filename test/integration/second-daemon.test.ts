import path from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { TestDaemon } from '../support/daemon.ts';

const main = path.join(import.meta.dirname, '../../hyperd/main.ts');
const flags = ['--kernel', '/dev/null', '--initrd', '/dev/null', '--mkfs-erofs', '/bin/true'];

let daemon: TestDaemon;

afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
});

/** What a second hyperd in the same network namespace says when it ends. */
async function startSecond(dataRoot: string): Promise<string> {
  const own = ['--exec-root', path.join(daemon.directory, 'run2')];
  const host = ['--host', `unix://${path.join(daemon.directory, 'second.sock')}`];
  const all = [main, ...flags, ...own, ...host, '--data-root', dataRoot];
  const { code, stdout, stderr } = await daemon.command(process.execPath, all);
  expect(code).toBe(1);
  return stdout + stderr;
}

describe('a second hyperd', () => {
  it('is refused the data root and the bridge of the first, until that has ended', async () => {
    daemon = await TestDaemon.start([], ['--template', 'off']);
    const first = path.join(daemon.directory, 'data');
    expect(await startSecond(first)).toContain(`${first} is in use by another hyperd (pid`);
    const told = await startSecond(path.join(daemon.directory, 'data2'));
    expect(told).toContain('the bridge hyper0 is in use by another hyperd');
    expect(told).toContain('--bridge');

    await daemon.stopHyperd('SIGKILL');
    await daemon.startHyperd();
  });
});
