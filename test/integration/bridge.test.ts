import { afterEach, describe, expect, it } from 'vitest';

import { TestDaemon } from '../support/daemon.ts';

let daemon: TestDaemon;

afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function ip(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.command('ip', args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

async function bridgeMacAddress(): Promise<string> {
  const [bridge] = JSON.parse(await ip('-json', 'link', 'show', 'hyper0')) as { address: string }[];
  return bridge?.address ?? '';
}

describe('the bridge', () => {
  it('keeps its MAC address, whatever comes and goes: containers would not find their gateway else', async () => {
    daemon = await TestDaemon.start([], ['--template', 'off']);
    const address = await bridgeMacAddress();
    expect(address).toMatch(/^02:42:/);

    // A bridge without an address of its own takes the least one of its ports.
    await ip('link', 'add', 'low', 'type', 'veth', 'peer', 'name', 'other');
    await ip('link', 'set', 'low', 'address', '00:00:5e:00:53:01', 'master', 'hyper0', 'up');
    expect(await bridgeMacAddress()).toBe(address);
    await ip('link', 'delete', 'low');
    expect(await bridgeMacAddress()).toBe(address);
    await daemon.stopHyperd('SIGKILL');
    await daemon.startHyperd();
    expect(await bridgeMacAddress()).toBe(address);
  });
});
