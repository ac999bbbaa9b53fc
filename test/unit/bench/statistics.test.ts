import { describe, expect, it } from 'vitest';

import { summarize, summarizeRatio } from '../../../bench/statistics.ts';

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

describe('summarizeRatio', () => {
  it('divides the medians, and takes the quartiles from the pairs', () => {
    expect(summarizeRatio([2, 6, 4], [1, 2, 4])).toEqual({
      median: 2,
      lowerQuartile: 1.5,
      upperQuartile: 2.5,
      runs: 3,
    });
  });

  it('refuses runs that are no pairs', () => {
    expect(() => summarizeRatio([1], [1, 2])).toThrow('unpaired');
  });
});
