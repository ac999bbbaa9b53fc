import { describe, expect, it } from 'vitest';

import { HyperError } from '../../../../../hyperd/base/error.ts';
import type { FakeGuest } from '../../../../support/fake-guest.ts';
import { FakeNetwork } from '../../../../support/fake-network.ts';
import { WarmBench } from '../../../../support/warm-bench.ts';

const bridged = { NetworkMode: 'default' };

function crash(guest: FakeGuest): void {
  guest.end({ reason: 'crashed', detail: 'killed' });
}

/** The guest's VM dies of the first such call. */
function dieOf(wanted: 'plug' | 'resume', guest: FakeGuest | undefined): void {
  if (guest === undefined) throw new Error('no such guest');
  guest.beforeCall = (call) => {
    if (call === wanted) crash(guest);
  };
}

async function openBench(poolSize: number) {
  const network = new FakeNetwork();
  const bench = await WarmBench.open({ poolSize }, ({ pods }) => {
    pods.network = network;
  });
  await (poolSize > 0 ? bench.untilWaiting(poolSize) : bench.untilMade(1));
  // The pool is left as it is from now on, so that what is there can be counted.
  bench.memory.scarce = true;
  return { bench, network, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

/** That so many VMs are there with all that belongs to them, one of them a container's or none. */
async function expectVms(
  { bench, network }: Awaited<ReturnType<typeof openBench>>,
  counts: { readonly all: number; readonly pods: number },
): Promise<void> {
  expect(bench.pods.driver.alive.size).toBe(counts.all);
  expect((await bench.pods.leftovers()).runs).toHaveLength(counts.all);
  expect(network.taps.size).toBe(counts.all);
  expect(network.endpoints.size).toBe(counts.pods);
  expect(bench.vms).toHaveLength(counts.pods);
}

describe('a VM that fails when a container is to get it', () => {
  it.each(['plug', 'resume'] as const)('at its %s is replaced by the next one', async (call) => {
    await using opened = await openBench(2);
    const { bench } = opened;
    const [dead, next] = bench.waiting;
    dieOf(call, dead);

    expect(await bench.start(bridged)).toBe('pool');

    expect(next?.lastStart?.container.process.args).toEqual(['sleep']);
    await expectVms(opened, { all: 1, pods: 1 });
    expect(bench.pods.warnings).toEqual([
      expect.stringMatching(
        /^a VM from the pool failed when a container was to get it, which gets another one: \w+ing the .+: the fake VM has ended /,
      ),
    ]);
  });

  it('is replaced by a clone when no other one waits', async () => {
    await using opened = await openBench(1);
    const { bench } = opened;
    dieOf('plug', bench.waiting[0]);

    expect(await bench.start(bridged)).toBe('template');

    await expectVms(opened, { all: 1, pods: 1 });
    expect(bench.pods.warnings).toHaveLength(1);
  });

  it('is replaced when it keeps silent, or does not resume', async () => {
    await using opened = await openBench(2);
    const { bench } = opened;
    const [silent, stuck] = bench.waiting;
    silent!.beforeCall = () => {
      throw new HyperError('TIMEOUT', 'no answer within 30000 ms');
    };
    stuck!.beforeCall = (call) => {
      if (call === 'resume') throw new HyperError('INTERNAL', 'resetting is required');
    };

    expect(await bench.start(bridged)).toBe('template');

    await expectVms(opened, { all: 1, pods: 1 });
    expect(bench.pods.warnings).toEqual([
      expect.stringContaining('plugging the disks: no answer within 30000 ms'),
      expect.stringContaining('resuming the VM: resetting is required'),
    ]);
  });

  it('is replaced when it dies though nothing more is asked of it', async () => {
    await using opened = await openBench(0);
    const { bench } = opened;
    const { driver } = bench.pods;
    const { prepare } = driver;
    driver.prepare = (guest) => {
      prepare(guest);
      driver.prepare = prepare;
      guest.beforeCall = () => {
        queueMicrotask(() => {
          crash(guest);
        });
      };
    };

    expect(await bench.start(bridged)).toBe('template');

    expect(bench.templates.clones).toHaveLength(2);
    await expectVms(opened, { all: 1, pods: 1 });
    expect(bench.pods.warnings).toEqual([expect.stringContaining('it has ended')]);
  });

  it('is replaced by a booted one when it was the third', async () => {
    await using opened = await openBench(1);
    const { bench } = opened;
    const { driver } = bench.pods;
    const { prepare } = driver;
    dieOf('plug', bench.waiting[0]);
    driver.prepare = (guest) => {
      prepare(guest);
      dieOf('plug', guest);
    };

    expect(await bench.start(bridged)).toBe('boot');

    expect(bench.templates.clones).toHaveLength(3);
    await expectVms(opened, { all: 1, pods: 1 });
    expect(bench.pods.warnings).toHaveLength(3);
  });

  it('is one phase of the start, whatever it went through', async () => {
    await using opened = await openBench(1);
    const { bench } = opened;
    dieOf('resume', bench.waiting[0]);
    const id = await bench.pods.create({ Cmd: ['sleep'] });
    await bench.pods.start(id);

    const { timeline = {} } = bench.pods.containers.get(id).lastStart ?? {};
    expect(Object.keys(timeline)[0]).toBe('lost');
    expect(timeline).not.toHaveProperty('pool');
  });
});

describe('a start from a VM that waited fails', () => {
  it('when the network cannot give what the container wants', async () => {
    await using opened = await openBench(2);
    const { bench, network } = opened;
    network.endpointFailure = new HyperError('UNAVAILABLE', 'port is already allocated');

    await expect(bench.start(bridged)).rejects.toThrow('port is already allocated');

    await expectVms(opened, { all: 1, pods: 0 });
    expect(bench.pods.driver.launched).toEqual([]);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('when the VM refuses a disk', async () => {
    await using opened = await openBench(2);
    const { bench } = opened;
    bench.waiting[0]!.beforeCall = () => {
      throw new HyperError('INTERNAL', 'could not open the file');
    };

    await expect(bench.start(bridged)).rejects.toThrow(
      'plugging the disks: could not open the file',
    );

    await expectVms(opened, { all: 1, pods: 0 });
    expect(bench.pods.driver.launched).toEqual([]);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('when it is cancelled, even if the VM dies at this moment', async () => {
    await using opened = await openBench(2);
    const { bench } = opened;
    const user = new AbortController();
    const [guest] = bench.waiting;
    guest!.beforeCall = () => {
      user.abort(new HyperError('CONFLICT', 'the start was cancelled'));
      crash(guest!);
    };
    const id = await bench.pods.create({ Cmd: ['sleep'] }, bridged);

    await expect(bench.pods.containers.start(id, user.signal)).rejects.toThrow();

    await expectVms(opened, { all: 1, pods: 0 });
    expect(bench.templates.clones).toHaveLength(2);
    expect(bench.pods.driver.launched).toEqual([]);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('when the VM is lost after the container was asked for', async () => {
    await using opened = await openBench(2);
    const { bench } = opened;
    const gone = new HyperError('UNAVAILABLE', 'agent: start: the guest hung up');
    bench.waiting[0]!.failures.set('start', gone);

    await expect(bench.start(bridged)).rejects.toThrow('the guest hung up');

    await expectVms(opened, { all: 1, pods: 0 });
    expect(bench.pods.driver.launched).toEqual([]);
    expect(bench.pods.warnings).toEqual([]);
  });
});
