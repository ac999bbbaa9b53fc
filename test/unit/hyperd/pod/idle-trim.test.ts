import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { PodBench } from '../../../support/pod-bench.ts';

const lookMs = 10;
const afterMs = 60;
/** In which an idle VM would have been trimmed again and again. */
const aWhileMs = 5 * afterMs;

interface Use {
  cpuMs: () => number | null;
}

/** A bench with a running container, whose VM uses as much CPU time as `use` says. */
async function openBench(use: Use): Promise<PodBench> {
  const bench = await PodBench.open({}, (unopened) => {
    unopened.trim = { afterMs, lookMs, cpuTimeMs: () => use.cpuMs() };
    return Promise.resolve();
  });
  await bench.start(await bench.create({ Cmd: ['sleep'] }));
  return bench;
}

function trims(bench: PodBench): number {
  return bench.driver.guest.requests.filter(({ method }) => method === 'trim').length;
}

describe('an idle VM', () => {
  it('is trimmed once', async () => {
    await using bench = await openBench({ cpuMs: () => 7000 });
    await expect.poll(() => trims(bench)).toBe(1);
    await delay(aWhileMs);
    expect(trims(bench)).toBe(1);
    expect(bench.warnings).toEqual([]);
  });

  it('is trimmed again when it has been busy since', async () => {
    const use: Use = { cpuMs: () => 7000 };
    await using bench = await openBench(use);
    await expect.poll(() => trims(bench)).toBe(1);
    use.cpuMs = () => performance.now();
    await delay(aWhileMs);
    expect(trims(bench)).toBe(1);
    use.cpuMs = () => 1e9;
    await expect.poll(() => trims(bench)).toBe(2);
  });
});

describe('a VM', () => {
  it.each([
    ['that is busy', () => performance.now()],
    ['that is gone', () => null],
  ])('%s is left alone', async (_, cpuMs) => {
    await using bench = await openBench({ cpuMs });
    await delay(aWhileMs);
    expect(trims(bench)).toBe(0);
  });

  it('is left alone by a daemon that does not trim', async () => {
    await using bench = await PodBench.open();
    await bench.start(await bench.create({ Cmd: ['sleep'] }));
    await delay(aWhileMs);
    expect(trims(bench)).toBe(0);
  });
});
