import { afterEach, describe, expect, it, vi } from 'vitest';

import type { WarmConfig } from '../../../../../hyperd/pod/warm/warm-vms.ts';
import type { FakeForks } from '../../../../support/fake-templates.ts';
import { WarmBench } from '../../../../support/warm-bench.ts';

const retryMs = 60_000;

afterEach(() => {
  vi.useRealTimers();
});

async function openForking(
  config: Partial<WarmConfig> = {},
  setUp: (forks: FakeForks) => void = () => undefined,
) {
  const bench = await WarmBench.open(config, ({ templates }) => {
    setUp(templates.enableForks());
  });
  const { forks } = bench.templates;
  if (forks === null) throw new Error('no forks');
  /** Resolves when so many parents were made ready, ever. */
  const untilParents = async (count: number): Promise<void> => {
    await expect.poll(() => forks.parents.filter(({ isPaused }) => isPaused)).toHaveLength(count);
  };
  return { bench, forks, untilParents, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

/** How many guests there are. */
function aliveCount({ pods }: WarmBench): number {
  return pods.driver.alive.size;
}

describe('VMs that are forked', () => {
  it('come from one parent, which alone has rehearsed', async () => {
    await using opened = await openForking({ poolSize: 2 });
    const { bench, forks } = opened;
    // The two of the pool, and their parent.
    await bench.untilWaiting(3);

    expect(await bench.start()).toBe('pool');

    await bench.untilWaiting(3);
    expect(forks.parents).toHaveLength(1);
    expect(forks.forks).toHaveLength(3);
    expect(bench.templates.clones).toEqual([]);
    const rehearsed = [...bench.pods.driver.alive.values()].filter(({ requests }) =>
      requests.some(({ method }) => method === 'park'),
    );
    expect(rehearsed).toHaveLength(1);
    const { waiting, parents } = bench.pods.containers.warmVms();
    expect([waiting, parents].map(({ length }) => length)).toEqual([2, 1]);
    expect(parents[0]?.origin).toBe('template');
    expect(bench.pods.warnings).toEqual([]);
  });

  it('are there without a pool, too', async () => {
    await using opened = await openForking();
    const { bench, forks } = opened;
    await opened.untilParents(1);

    expect(await bench.start()).toBe('template');

    expect(forks.forks).toHaveLength(1);
    expect(bench.templates.clones).toEqual([]);
  });

  it('have a parent that runs until it has come to rest, and stands still when one is forked', async () => {
    await using opened = await openForking({ restMs: 300 });
    const { bench, forks } = opened;
    await expect.poll(() => forks.parents.map(({ isPaused }) => isPaused)).toEqual([false]);

    // The fake refuses a parent that runs.
    expect(await bench.start()).toBe('template');

    expect(forks.forks).toHaveLength(1);
    expect(forks.parents[0]?.isPaused).toBe(true);
    // It goes on once no more containers are started, and comes to an end.
    await expect.poll(() => forks.parents[0]?.isPaused).toBe(false);
    await opened.untilParents(1);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('have another parent when theirs cannot be paused again', async () => {
    await using opened = await openForking({ restMs: 50 }, (forks) => {
      forks.onParent = (parent) => {
        const pause = parent.pause.bind(parent);
        let pauses = 0;
        parent.pause = () => {
          pauses += 1;
          return pauses === 1 ? pause() : Promise.reject(new Error('it runs and runs'));
        };
      };
    });
    const { bench } = opened;
    await expect.poll(() => bench.pods.warnings.join()).toContain('it runs and runs');

    await expect.poll(() => aliveCount(bench)).toBe(0);
    expect(await bench.start()).toBe('template');
    expect(bench.templates.clones).toHaveLength(1);
  });

  it('have network devices and run directories of their own', async () => {
    await using opened = await openForking({ poolSize: 2 });
    await opened.bench.untilWaiting(3);

    const { forks, parents } = opened.forks;
    const directories = [...forks, ...parents.map(({ record }) => record)].map(
      ({ runDirectory }) => runDirectory,
    );
    expect(new Set(directories).size).toBe(3);
  });

  it('are clones of the files while there is no parent, and when it cannot be made', async () => {
    await using opened = await openForking({}, (forks) => {
      forks.parentFailure = new Error('no parent today');
    });
    const { bench, forks } = opened;
    await expect.poll(() => bench.pods.warnings).toHaveLength(1);
    expect(bench.pods.warnings[0]).toContain('no parent today');
    forks.parentFailure = null;

    expect(await bench.start()).toBe('template');

    expect(bench.templates.clones).toHaveLength(1);
    expect(forks.parents).toEqual([]);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + retryMs });
    expect(await bench.start()).toBe('template');
    expect(bench.templates.clones).toHaveLength(2);
    await opened.untilParents(1);
  });

  it('are clones of the files when a fork fails, and the parent goes', async () => {
    await using opened = await openForking();
    const { bench, forks } = opened;
    await opened.untilParents(1);
    forks.forkFailure = new Error('a thread is busy');

    expect(await bench.start()).toBe('template');

    expect(bench.templates.clones).toHaveLength(1);
    expect(bench.pods.warnings.join()).toContain('a thread is busy');
    await expect.poll(() => aliveCount(bench)).toBe(1);
  });

  it('get another parent when theirs has died', async () => {
    await using opened = await openForking();
    const { bench, forks } = opened;
    await opened.untilParents(1);
    const [parent] = bench.pods.driver.alive.values();
    parent?.end({ reason: 'crashed', detail: 'test' });
    await expect.poll(() => bench.pods.warnings.join()).toContain('has died');

    expect(await bench.start()).toBe('template');

    expect(bench.templates.clones).toHaveLength(1);
    await expect.poll(() => forks.parents).toHaveLength(2);
  });

  it('have no parent while the host is short of memory', async () => {
    const bench = await WarmBench.open({}, (opening) => {
      opening.memory.scarce = true;
      opening.templates.enableForks();
    });
    await using _ = bench;
    await bench.untilMade(1);

    expect(await bench.start()).toBe('template');

    expect(bench.templates.forks?.parents).toEqual([]);
    expect(bench.templates.clones).toHaveLength(1);
  });

  it('outlive the daemon that ends their parent', async () => {
    await using opened = await openForking();
    const { bench } = opened;
    await opened.untilParents(1);
    await bench.start();
    expect(aliveCount(bench)).toBe(2);

    await bench.pods.restartDaemon();

    const ids = bench.vms.map(({ id }) => id);
    expect(ids).toHaveLength(1);
    await expect.poll(() => opened.forks.parents).toHaveLength(2);
    expect(aliveCount(bench)).toBe(2);
  });
});
