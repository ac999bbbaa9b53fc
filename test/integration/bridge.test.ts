import { afterEach, describe, expect, it } from 'vitest';

import { TestDaemon } from '../support/daemon.ts';

let daemon: TestDaemon;

afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function output(program: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.command(program, args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

async function docker(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout.trim();
}

async function bridgeMacAddress(): Promise<string> {
  const text = await output('ip', '-json', 'link', 'show', 'hyper0');
  const [bridge] = JSON.parse(text) as { address: string }[];
  return bridge?.address ?? '';
}

/** TAPs that may send as nobody. */
async function silentTaps(): Promise<number> {
  const table = await output('nft', 'list', 'table', 'bridge', 'hyper0');
  const namesIn = (set: string): readonly string[] => {
    const [, elements = ''] = new RegExp(`set ${set} \\{([^}]*)\\}`).exec(table) ?? [];
    return elements.match(/hyp[0-9a-f]{12}/g) ?? [];
  };
  const sending = new Set(namesIn('identities'));
  return namesIn('ports').filter((name) => !sending.has(name)).length;
}

/** MAC and IPv4 addresses as which TAPs may send. */
async function identities(): Promise<readonly string[]> {
  const text = await output('nft', 'list', 'set', 'bridge', 'hyper0', 'identities');
  const found = text.matchAll(/"\w+" \. ([0-9a-f:]{17}) \. ([0-9.]+)/g);
  return [...found].map(([, macAddress, address]) => `${macAddress ?? ''} ${address ?? ''}`);
}

async function identityOf(container: string): Promise<string> {
  const { MacAddress, IPAddress } = JSON.parse(
    await docker('inspect', '--format', '{{json .NetworkSettings.Networks.bridge}}', container),
  ) as { MacAddress: string; IPAddress: string };
  return `${MacAddress} ${IPAddress}`;
}

describe('the bridge', () => {
  it('keeps its MAC address, whatever comes and goes: containers would not find their gateway else', async () => {
    daemon = await TestDaemon.start([], ['--template', 'off']);
    const address = await bridgeMacAddress();
    expect(address).toMatch(/^02:42:/);

    // A bridge without an address of its own takes the least one of its ports.
    await output('ip', 'link', 'add', 'low', 'type', 'veth', 'peer', 'name', 'other');
    await output('ip', 'link', 'set', 'low', 'address', '00:00:5e:00:53:01', 'master', 'hyper0');
    await output('ip', 'link', 'set', 'low', 'up');
    expect(await bridgeMacAddress()).toBe(address);
    await output('ip', 'link', 'delete', 'low');
    expect(await bridgeMacAddress()).toBe(address);
    await daemon.stopHyperd('SIGKILL');
    await daemon.startHyperd();
    expect(await bridgeMacAddress()).toBe(address);
  });

  it('lets each container send as itself, and forgets it with the container', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--template', 'off']);
    const macAddress = '02:00:5e:00:53:02';
    const long = ['busybox', 'sleep', '1000'];
    await docker('run', '-d', '--name', 'usual', ...long);
    const special = ['--mac-address', macAddress, '-p', '127.0.0.1:8080:80'];
    await docker('run', '-d', '--name', 'special', ...special, ...long);
    const [usual, chosen] = [await identityOf('usual'), await identityOf('special')];
    expect(chosen).toContain(macAddress);
    expect(await identities()).toEqual(expect.arrayContaining([usual, chosen]));
    const [, address = ''] = usual.split(' ');
    await docker('exec', 'special', 'ping', '-c', '1', '-W', '2', address);
    expect(await output('nft', 'list', 'map', 'ip', 'hyper0', 'tcp_at')).toContain('8080');

    await docker('rm', '-f', 'usual', 'special');
    await daemon.stopHyperd('SIGTERM');
    expect(await identities()).toEqual([]);
    expect(await output('nft', 'list', 'map', 'ip', 'hyper0', 'tcp_at')).not.toContain('8080');
    expect(await output('nft', 'list', 'set', 'bridge', 'hyper0', 'ports')).not.toContain('"');
  });

  it('lets nothing through of a container without a network, which may have a VM with a NIC', async () => {
    daemon = await TestDaemon.start(['busybox']);
    await expect.poll(() => daemon.log, { timeout: 60_000 }).toContain('made the template for VMs');
    expect(await silentTaps()).toBe(0);
    await docker('run', '-d', '--name', 'lonely', '--network', 'none', 'busybox', 'sleep', '1000');
    const timeline = '/hyper/containers/lonely/timeline';
    const { Origin } = await daemon.api.json<{ Origin: string }>('GET', timeline);
    expect(Origin).not.toBe('boot');
    expect(await silentTaps()).toBe(1);
    await docker('rm', '-f', 'lonely');
    await expect.poll(silentTaps, { timeout: 10_000 }).toBe(0);
  });

  it('has every address of a small network for containers', async () => {
    daemon = await TestDaemon.start(
      ['busybox'],
      ['--template', 'off', '--bridge-subnet', '10.88.0.0/29'],
    );
    const run = ['run', '-d', '-m', '64m', 'busybox', 'sleep', '1000'];
    for (let count = 0; count < 5; count++) await docker(...run);
    const { code, stderr } = await daemon.docker(run);
    expect(code).toBe(125);
    expect(stderr).toContain('no free address left in 10.88.0.0/29');
  });
});
