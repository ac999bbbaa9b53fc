import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { PodBench } from '../../../support/pod-bench.ts';

const lookMs = 10;
const cachesAfterMs = 60;
/** In which an idle VM would have been trimmed again and again. */
const aWhileMs = 5 * cachesAfterMs;

interface Use {
  cpuMs: () => number | null;
}

/** A bench with a running container, whose VM uses as much CPU time as `use` says. */
async function openBench(use: Use, after: number | null = cachesAfterMs): Promise<PodBench> {
  const bench = await PodBench.open({}, (unopened) => {
    unopened.trim = { cachesAfterMs: after, lookMs, cpuTimeMs: () => use.cpuMs() };
    return Promise.resolve();
  });
  await bench.start(await bench.create({ Cmd: ['sleep'] }));
  return bench;
}

function trims(bench: PodBench): readonly unknown[] {
  const requests = bench.driver.guest.requests.filter(({ method }) => method === 'trim');
  return requests.map(({ params }) => params);
}

const compaction = { caches: false };
const caches = { caches: true };

describe('an idle VM', () => {
  it('brings its free memory together, and frees its caches when it stays idle, each once', async () => {
    await using bench = await openBench({ cpuMs: () => 7000 });
    await expect.poll(() => trims(bench)).toEqual([compaction]);
    await expect.poll(() => trims(bench)).toEqual([compaction, caches]);
    await delay(aWhileMs);
    expect(trims(bench)).toEqual([compaction, caches]);
    expect(bench.warnings).toEqual([]);
  });

  it('does so again when it has been busy since', async () => {
    const use: Use = { cpuMs: () => 7000 };
    await using bench = await openBench(use);
    await expect.poll(() => trims(bench)).toEqual([compaction, caches]);
    use.cpuMs = () => performance.now();
    await delay(aWhileMs);
    expect(trims(bench)).toEqual([compaction, caches]);
    use.cpuMs = () => 1e9;
    await expect.poll(() => trims(bench)).toEqual([compaction, caches, compaction, caches]);
  });

  it('keeps its caches where that is wished', async () => {
    await using bench = await openBench({ cpuMs: () => 7000 }, null);
    await delay(aWhileMs);
    expect(trims(bench)).toEqual([compaction]);
  });
});

describe('a VM', () => {
  it.each([
    ['that is busy', () => performance.now()],
    ['that is gone', () => null],
  ])('%s is left alone', async (_, cpuMs) => {
    await using bench = await openBench({ cpuMs });
    await delay(aWhileMs);
    expect(trims(bench)).toEqual([]);
  });

  it('is left alone by a daemon that does not trim', async () => {
    await using bench = await PodBench.open();
    await bench.start(await bench.create({ Cmd: ['sleep'] }));
    await delay(aWhileMs);
    expect(trims(bench)).toEqual([]);
  });
});
