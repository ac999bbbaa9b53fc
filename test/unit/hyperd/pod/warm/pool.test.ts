import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { WarmBench } from '../../../../support/warm-bench.ts';

/** Long enough for everything that would happen at once. */
const aWhileMs = 60;
const checkMs = 5000;
const retryMs = 10_000;
const remakeMs = 60_000;

afterEach(() => {
  vi.useRealTimers();
});

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
    // Nothing more gets ready.
    bench.pods.programs.set('/rehearsal', () => new Promise(() => undefined));
    expect(await bench.start()).toBe('pool');
    expect(await bench.start()).toBe('template');
    expect(await bench.start()).toBe('template');
  });

  it('has nothing for containers of another size', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    expect(await bench.start({ Memory: 2 ** 28 })).toBe('boot');
    expect(bench.waiting).toHaveLength(1);
  });

  it('waits with its work while a container is being started', async () => {
    await using bench = await WarmBench.open({ poolSize: 1 });
    await bench.untilWaiting(1);
    const { driver } = bench.pods;
    const { prepare } = driver;
    driver.prepare = (guest) => {
      guest.isSilent = true;
    };
    const [waiting] = bench.waiting;
    const starting = bench.start({ Memory: 2 ** 28 });
    await expect.poll(() => driver.launched).toHaveLength(1);
    driver.prepare = prepare;

    waiting?.end({ reason: 'crashed', detail: 'test' });
    await delay(aWhileMs);
    expect(bench.templates.clones).toHaveLength(1);

    driver.guest.end({ reason: 'crashed', detail: 'test' });
    await expect(starting).rejects.toThrow('waiting for the agent');
    await bench.untilWaiting(1);
    expect(bench.templates.clones).toHaveLength(2);
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
    bench.pods.programs.set('/rehearsal', () => Promise.resolve(7));
    bench.waiting[0]?.end({ reason: 'crashed', detail: 'killed' });
    await expect.poll(() => bench.pods.warnings).toHaveLength(2);
    expect(bench.pods.warnings[1]).toContain('its process ended with exit code 7');
    expect(await bench.templateNames()).toEqual([]);
    expect((await bench.pods.leftovers()).runs).toEqual([]);

    vi.advanceTimersByTime(retryMs + checkMs);
    await delay(aWhileMs);
    expect(bench.templates.clones).toHaveLength(2);
    expect(bench.templates.made).toHaveLength(1);

    bench.pods.programs.set('/rehearsal', () => Promise.resolve(0));
    vi.advanceTimersByTime(remakeMs);
    await bench.untilMade(2);
    await bench.untilWaiting(1);
    expect(await bench.start()).toBe('pool');
    expect(bench.pods.warnings).toHaveLength(2);
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
    bench.pods.programs.set('/rehearsal', () => new Promise(() => undefined));
    await bench.start();
    await expect.poll(() => bench.templates.clones).toHaveLength(2);
    await expect.poll(() => bench.pods.driver.alive.size).toBe(2);
    bench.keepsMounts = true;

    await bench.pods.containers[Symbol.asyncDispose]();

    expect(bench.pods.driver.alive.size).toBe(1);
    expect(await bench.templateNames()).toHaveLength(1);
    expect((await bench.pods.leftovers()).runs).toHaveLength(1);
    expect(bench.pods.warnings).toEqual([]);
    bench.pods.programs.set('/rehearsal', () => Promise.resolve(0));
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
