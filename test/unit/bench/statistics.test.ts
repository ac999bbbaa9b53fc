import { describe, expect, it } from 'vitest';

import { summarize } from '../../../bench/measure/statistics.ts';

describe('summarize', () => {
  it('gives median and quartiles of an unordered sample', () => {
    expect(summarize([5, 1, 3, 2, 4])).toEqual({
      median: 3,
      lowerQuartile: 2,
      upperQuartile: 4,
      runs: 5,
    });
  });

  it('lies between the two middle values of an even sample', () => {
    expect(summarize([2, 1]).median).toBe(1.5);
  });

  it('refuses an empty sample and values that are no numbers', () => {
    expect(() => summarize([])).toThrow('no runs');
    expect(() => summarize([1, Number.NaN])).toThrow('1, NaN');
  });
});
