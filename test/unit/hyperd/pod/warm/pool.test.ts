import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, describe, expect, it, vi } from 'vitest';

import type { FakeGuest } from '../../../../support/fake-guest.ts';
import { claimMs, WarmBench } from '../../../../support/warm-bench.ts';

/** Long enough for everything that would happen at once. */
const aWhileMs = 60;
const checkMs = 5000;
const retryMs = 10_000;
const remakeMs = 60_000;
const demandMs = 10 * 60_000;

afterEach(() => {
  vi.useRealTimers();
});

/** A pool of one that was taken, and whose next VM is not restored until it is let. */
async function openRestoring() {
  const bench = await WarmBench.open({ poolSize: 1 });
  await bench.untilWaiting(1);
  const { promise: restored, resolve } = Promise.withResolvers<undefined>();
  bench.templates.cloneGate = restored;
  expect(await bench.start()).toBe('pool');
  await expect.poll(() => bench.templates.clones).toHaveLength(2);
  const restore = (): void => {
    resolve(undefined);
  };
  return { bench, restore, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

/** Resolves when the VM that is made for the pool rehearses; one other has been taken. */
async function untilRehearsing(bench: WarmBench): Promise<void> {
  const second = () => [...bench.pods.driver.alive.values()][1];
  await expect.poll(() => second()?.requests.at(-1)?.method).toBe('start');
}

/** A start that waits for an agent that says nothing, until it is ended. */
async function startSlowly(bench: WarmBench) {
  const { driver } = bench.pods;
  const { prepare } = driver;
  const { promise: booted, resolve } = Promise.withResolvers<FakeGuest>();
  driver.prepare = (guest) => {
    guest.isSilent = true;
    resolve(guest);
  };
  const starting = bench.start({ Memory: 2 ** 28 });
  const guest = await booted;
  driver.prepare = prepare;
  const end = async (): Promise<void> => {
    guest.end({ reason: 'crashed', detail: 'test' });
    await expect(starting).rejects.toThrow('waiting for the agent');
  };
  return { end, [Symbol.asyncDispose]: end };
}

describe('the pool', () => {
  it('gives its VMs to containers, and fills up again', async () => {
    await using bench = await WarmBench.open({ poolSize: 2 });
    await bench.untilWaiting(2);
    const [first] = bench.waiting;

    expect(await bench.start()).toBe('pool');

    expect(first).toMatchObject({ isPaused: false });
    expect(first?.lastStart?.container.process.args).toEqual(['sleep']);
    await bench.untilWaiting(2);
    expect(bench.templates.clones).toHaveLength(3);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('keeps its VMs paused after a rehearsal of their own', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    const methods = bench.waiting[0]?.requests.map(({ method }) => method);
    expect(methods).toEqual(['park', 'start', 'release', 'park']);
  });

  it('that is empty leaves containers to the template', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    bench.templates.cloneFailure = new Error('no more processes');
    expect(await bench.start()).toBe('pool');
    await expect.poll(() => bench.pods.warnings).toHaveLength(1);
    bench.templates.cloneFailure = null;
    expect(await bench.start()).toBe('boot');
  });

  it('has nothing for containers of another size', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    expect(await bench.start({ Memory: 2 ** 28 })).toBe('boot');
    expect(bench.waiting).toHaveLength(1);
  });

  it('with VMs left waits with its work while a container is being started', async () => {
    await using bench = await WarmBench.open({ poolSize: 2 });
    await bench.untilWaiting(2);
    await using slow = await startSlowly(bench);
    const [first, second] = bench.waiting;

    first?.end({ reason: 'crashed', detail: 'test' });
    await delay(aWhileMs);
    expect(bench.templates.clones).toHaveLength(2);

    // Empty, it has a VM cloned, which the next start may have as it is.
    second?.end({ reason: 'crashed', detail: 'test' });
    await expect.poll(() => bench.templates.clones).toHaveLength(3);
    await delay(aWhileMs);
    expect(bench.waiting).toHaveLength(0);
    expect(bench.templates.clones).toHaveLength(3);

    await slow.end();
    await bench.untilWaiting(2);
  });

  it('replaces a waiting VM that dies', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    const [dead] = bench.waiting;

    dead?.end({ reason: 'crashed', detail: 'killed' });

    await expect.poll(() => bench.templates.clones).toHaveLength(2);
    await bench.untilWaiting(1);
    expect(bench.pods.warnings).toEqual([expect.stringContaining('a waiting VM has died')]);
    expect((await bench.pods.leftovers()).runs).toHaveLength(1);
    expect(await bench.start()).toBe('pool');
  });

  it('tells when a VM could not be made ready, and leaves nothing of it', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 }, ({ templates }) => {
      templates.cloneFailure = new Error('no more processes');
    });
    await expect.poll(() => bench.pods.warnings).toHaveLength(1);
    expect(bench.pods.warnings[0]).toContain(
      'a VM for the pool could not be made ready, its template is not used again: no more processes',
    );
    expect((await bench.pods.leftovers()).runs).toEqual([]);
    expect(await bench.templateNames()).toEqual([]);
  });

  it('tries a template whose clones do not work no second time, and has it made anew', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    bench.pods.programs.set('rehearsal', () => Promise.resolve(7));
    bench.waiting[0]?.end({ reason: 'crashed', detail: 'killed' });
    await expect.poll(() => bench.pods.warnings).toHaveLength(2);
    expect(bench.pods.warnings[1]).toContain('its process ended with exit code 7');
    expect(await bench.templateNames()).toEqual([]);
    expect((await bench.pods.leftovers()).runs).toEqual([]);

    vi.advanceTimersByTime(retryMs + checkMs);
    await delay(aWhileMs);
    expect(bench.templates.clones).toHaveLength(2);
    expect(bench.templates.made).toHaveLength(1);

    bench.pods.programs.set('rehearsal', () => Promise.resolve(0));
    vi.advanceTimersByTime(remakeMs);
    await bench.untilMade(2);
    await bench.untilWaiting(1);
    expect(await bench.start()).toBe('pool');
    expect(bench.pods.warnings).toHaveLength(2);
  });
});

describe('a container that comes while the only VM is being made', () => {
  it('gets it after its rehearsal', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    const { promise: rehearsed, resolve } = Promise.withResolvers<number>();
    bench.pods.programs.set('rehearsal', () => rehearsed);
    expect(await bench.start()).toBe('pool');
    await untilRehearsing(bench);

    const starting = bench.start();
    await delay(aWhileMs);
    bench.pods.programs.set('rehearsal', () => Promise.resolve(0));
    resolve(0);

    expect(await starting).toBe('pool');
    expect(bench.pods.driver.guest.isPaused).toBe(false);
    await bench.untilWaiting(1);
    expect(bench.templates.clones).toHaveLength(3);
  });

  it('gets it at once before its rehearsal, which waits until no more starts come', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    for (const round of [1, 2, 3]) {
      expect(await bench.start()).toBe('pool');
      await expect.poll(() => bench.pods.driver.alive.size).toBe(round + 1);
    }
    const guests = [...bench.pods.driver.alive.values()];
    const rehearsed = guests.filter(({ requests }) => requests.length > 1);
    expect(rehearsed).toHaveLength(1);
    await bench.untilWaiting(1);
  });

  it('gets it as soon as it is restored', async () => {
    await using slow = await openRestoring();
    const { bench, restore } = slow;

    const starting = bench.start();
    await delay(aWhileMs);
    bench.templates.cloneGate = Promise.resolve();
    restore();

    expect(await starting).toBe('pool');
    const [, second] = bench.pods.driver.alive.values();
    expect(second?.requests.map(({ method }) => method)).toEqual(['start']);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('is the only one: the next one gets a clone of its own', async () => {
    await using slow = await openRestoring();
    const { bench, restore } = slow;
    const first = bench.start();
    await delay(aWhileMs);
    bench.templates.cloneGate = Promise.resolve();

    expect(await bench.start()).toBe('template');
    restore();
    expect(await first).toBe('pool');
  });

  it('gets one of its own when that takes too long, and the pool keeps the other', async () => {
    await using slow = await openRestoring();
    const { bench, restore } = slow;
    bench.templates.cloneGate = Promise.resolve();

    expect(await bench.start()).toBe('template');
    const begunMs = performance.now();
    expect(await bench.start()).toBe('template');
    expect(performance.now() - begunMs).toBeLessThan(claimMs);
    restore();
    await bench.untilWaiting(1);
    expect(bench.templates.clones).toHaveLength(4);
  });

  it('gets one of its own when the making fails', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    const { promise: rehearsed, resolve } = Promise.withResolvers<number>();
    bench.pods.programs.set('rehearsal', () => rehearsed);
    await bench.start();
    await untilRehearsing(bench);

    const starting = bench.start();
    await delay(aWhileMs);
    resolve(7);

    // Its template is not used again either.
    expect(await starting).toBe('boot');
    expect(bench.pods.warnings).toHaveLength(1);
  });
});

describe('the size of the pool', () => {
  it('follows what was asked for at once, up to its limit, and goes down again', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
    await using bench = await WarmBench.open({ poolSize: 1, poolMax: 3 });
    await bench.untilWaiting(1);
    await Promise.all([bench.start(), bench.start()]);
    await bench.untilWaiting(2);
    await Promise.all([bench.start(), bench.start(), bench.start(), bench.start()]);
    await bench.untilWaiting(3);

    vi.setSystemTime(Date.now() + demandMs);
    vi.advanceTimersByTime(checkMs);
    await bench.untilWaiting(2);
    vi.advanceTimersByTime(checkMs);
    await bench.untilWaiting(1);
    vi.advanceTimersByTime(checkMs);
    await delay(aWhileMs);
    expect(bench.waiting).toHaveLength(1);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('of none stays none', async () => {
    await using bench = await WarmBench.open({ poolSize: 0, poolMax: 3 });
    await bench.untilMade(1);
    expect(await bench.start()).toBe('template');
    expect(await bench.start()).toBe('template');
    await delay(aWhileMs);
    expect(bench.waiting).toHaveLength(0);
  });
});

describe('memory for the pool', () => {
  it('is given back while the host is short of it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await using bench = await WarmBench.open({ poolSize: 2 });
    await bench.untilWaiting(2);
    bench.memory.scarce = true;

    vi.advanceTimersByTime(checkMs);
    await bench.untilWaiting(1);
    vi.advanceTimersByTime(checkMs);
    await bench.untilWaiting(0);
    expect(await bench.start()).toBe('template');
    await delay(aWhileMs);
    expect(bench.waiting).toHaveLength(0);

    bench.memory.scarce = false;
    vi.advanceTimersByTime(checkMs);
    await bench.untilWaiting(2);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('is not taken beyond its limit, whatever the number of VMs', async () => {
    await using bench = await WarmBench.open({ poolSize: 5, poolMemoryMiB: 512 }, ({ memory }) => {
      memory.ofVmMiB = 200;
    });
    // A third one would make it 600.
    await bench.untilWaiting(2);
    await delay(aWhileMs);
    expect(bench.waiting).toHaveLength(2);
  });
});

describe('the end of the daemon', () => {
  it('ends every VM that waits, and no container', async () => {
    await using bench = await WarmBench.open({ poolSize: 2 });
    await bench.untilWaiting(2);
    await bench.start();
    await bench.untilWaiting(2);

    await bench.pods.containers[Symbol.asyncDispose]();

    expect(bench.waiting).toEqual([]);
    expect(bench.pods.driver.alive.size).toBe(1);
    expect((await bench.pods.leftovers()).runs).toHaveLength(1);
    expect(bench.pods.warnings).toEqual([]);
    await bench.pods.restartDaemon();
  });

  it('ends a VM that is not ready yet', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    bench.pods.programs.set('rehearsal', () => new Promise(() => undefined));
    await bench.start();
    await expect.poll(() => bench.templates.clones).toHaveLength(2);
    await expect.poll(() => bench.pods.driver.alive.size).toBe(2);
    bench.keepsMounts = true;

    await bench.pods.containers[Symbol.asyncDispose]();

    expect(bench.pods.driver.alive.size).toBe(1);
    expect(await bench.templateNames()).toHaveLength(1);
    expect((await bench.pods.leftovers()).runs).toHaveLength(1);
    expect(bench.pods.warnings).toEqual([]);
    bench.pods.programs.set('rehearsal', () => Promise.resolve(0));
    await bench.pods.restartDaemon();
  });

  it.each([0, 1])('gives an unfinished template up (pool of %i)', async (poolSize) => {
    await using bench = await WarmBench.open({ poolSize }, ({ templates }) => {
      templates.gate = new Promise(() => undefined);
    });
    await expect.poll(() => bench.templates.made).toHaveLength(1);
    bench.keepsMounts = true;

    await bench.pods.containers[Symbol.asyncDispose]();

    expect(bench.pods.driver.alive.size).toBe(0);
    expect(await bench.templateNames()).toEqual([]);
    expect((await bench.pods.leftovers()).runs).toEqual([]);
    expect(bench.pods.warnings).toEqual([]);
    bench.templates.gate = Promise.resolve();
    await bench.pods.restartDaemon();
  });
});
