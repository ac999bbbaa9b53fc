import { expect, it } from 'vitest';

import { Demand } from '../../../../../hyperd/pod/warm/demand.ts';

const second = 1000;
const minute = 60 * second;

it('is the most that were asked for within ten seconds', () => {
  const demand = new Demand();
  expect(demand.peak(0)).toBe(0);
  for (const at of [0, 9, 10, 12, 19, 25]) demand.note(at * second);
  // 10, 12 and 19 with either 9 or 25 would be more than ten seconds.
  expect(demand.peak(25 * second)).toBe(3);
});

it('is forgotten after ten minutes', () => {
  const demand = new Demand();
  for (const at of [0, 1, 2]) demand.note(at * second);
  demand.note(5 * minute);
  expect(demand.peak(10 * minute - 1)).toBe(3);
  expect(demand.peak(10 * minute + 2 * second)).toBe(1);
  expect(demand.peak(15 * minute)).toBe(0);
});

it('remembers no more than a pool can hold', () => {
  const demand = new Demand();
  for (let index = 0; index < 5000; index += 1) demand.note(0);
  expect(demand.peak(0)).toBe(1000);
});
