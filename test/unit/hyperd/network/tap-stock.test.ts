import { setTimeout as delay } from 'node:timers/promises';

import { beforeEach, expect, it } from 'vitest';

import type { PreparedTap } from '../../../../hyperd/network/network-manager.ts';
import { TapStock } from '../../../../hyperd/network/tap-stock.ts';

const restMs = 20;

let made = 0;
let alive: Set<string>;
let failure: Error | null;

beforeEach(() => {
  made = 0;
  alive = new Set();
  failure = null;
});

function openStock(): TapStock {
  return new TapStock({ size: 2, restMs, make });
}

function make(): Promise<PreparedTap> {
  if (failure !== null) return Promise.reject(failure);
  made += 1;
  const tapName = `tap${String(made)}`;
  alive.add(tapName);
  const remove = (): Promise<void> => {
    alive.delete(tapName);
    return Promise.resolve();
  };
  return Promise.resolve({ tapName, [Symbol.asyncDispose]: remove });
}

it('makes the first TAP at once, and those after it before they are asked for', async () => {
  await using stock = openStock();
  expect((await stock.take()).tapName).toBe('tap1');
  expect(made).toBe(1);
  await expect.poll(() => made).toBe(3);

  expect((await stock.take()).tapName).toBe('tap3');
  expect((await stock.take()).tapName).toBe('tap2');
  await delay(restMs / 4);
  expect(made).toBe(3);
  await expect.poll(() => made).toBe(5);
});

it('has one for everybody in a burst', async () => {
  await using stock = openStock();
  const taps = await Promise.all(Array.from({ length: 5 }, () => stock.take()));
  expect(new Set(taps.map(({ tapName }) => tapName)).size).toBe(5);
});

it('removes at its end those that were not taken, and makes none any more', async () => {
  {
    await using stock = openStock();
    await stock.take();
    await expect.poll(() => made).toBe(3);
    await stock.take();
  }
  expect([...alive]).toEqual(['tap1', 'tap3']);
  await delay(2 * restMs);
  expect(made).toBe(3);
});

it('tells only who needs a TAP that none can be made, and goes on later', async () => {
  await using stock = openStock();
  failure = new Error('no TUN');
  await expect(stock.take()).rejects.toThrow('no TUN');
  await delay(2 * restMs);

  failure = null;
  await stock.take();
  await expect.poll(() => made).toBe(3);
});
