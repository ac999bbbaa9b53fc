import { describe, expect, it } from 'vitest';

import { FakeNetwork } from '../../../../support/fake-network.ts';
import { WarmBench } from '../../../../support/warm-bench.ts';

const bridged = { NetworkMode: 'default' };
const blank = '02:00:00:00:00:01';

function openBench(network: FakeNetwork, poolSize: number): Promise<WarmBench> {
  return WarmBench.open({ poolSize }, ({ pods }) => {
    pods.network = network;
  });
}

describe('the network of a VM that was not booted', () => {
  it('is that of its TAP, under an address that is its pod’s own', async () => {
    const network = new FakeNetwork();
    await using bench = await openBench(network, 1);
    await bench.untilWaiting(1);
    const [clone] = bench.templates.clones;
    expect(clone?.nic).toMatchObject({ macAddress: blank });
    expect(network.taps).toEqual(new Set([clone?.nic?.tapName]));
    const [guest] = bench.waiting;

    expect(await bench.start(bridged)).toBe('pool');

    const [endpoint] = network.endpoints.values();
    expect(endpoint?.tapName).toBe(clone?.nic?.tapName);
    expect(guest?.lastStart?.pod?.interfaces).toEqual([
      {
        ...{ name: 'eth0', macAddress: '02:42:0a:00:00:02', deviceMacAddress: blank, mtu: 1500 },
        addresses: ['10.0.0.2/24'],
      },
    ]);
  });

  it('is without driver and silent for a container without a network', async () => {
    const network = new FakeNetwork();
    await using bench = await openBench(network, 1);
    await bench.untilWaiting(1);
    const [guest] = bench.waiting;
    const [clone] = bench.templates.clones;

    expect(await bench.start({ NetworkMode: 'none' })).toBe('pool');

    expect(guest?.lastStart?.pod?.interfaces).toEqual([]);
    expect(network.endpoints.size).toBe(0);
    expect([...network.silenced]).toEqual([clone?.nic?.tapName]);
  });

  it('goes with its container', async () => {
    const network = new FakeNetwork();
    await using bench = await openBench(network, 0);
    await bench.untilMade(1);
    expect(network.taps.size).toBe(0);
    const id = await bench.pods.create({ Cmd: ['true'] }, bridged);
    await bench.pods.start(id);
    await bench.pods.wait(id);

    await expect.poll(() => network.taps.size).toBe(0);
    expect(network.endpoints.size).toBe(0);
  });

  it('goes with its container under the next daemon, too', async () => {
    const network = new FakeNetwork();
    await using bench = await openBench(network, 0);
    await bench.untilMade(1);
    const id = await bench.pods.create({ Cmd: ['sleep'] }, bridged);
    await bench.pods.start(id);
    expect(bench.originOf(id)).toBe('template');
    await bench.pods.restartDaemon();
    await bench.untilMade(2);
    expect(network.taps.size).toBe(1);

    await bench.pods.containers.kill(id, 'SIGKILL');

    await expect.poll(() => network.taps.size).toBe(0);
  });
});
