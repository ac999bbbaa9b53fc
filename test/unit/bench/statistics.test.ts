import { describe, expect, it } from 'vitest';

import { medianSample, summarize } from '../../../bench/measure/statistics.ts';

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

describe('medianSample', () => {
  it('is a sample, of two in the middle the lesser', () => {
    const of = (...samples: readonly string[]): string =>
      medianSample(samples, (sample) => sample.length);
    expect(of('four', 'a', 'sixsix')).toBe('four');
    expect(of('four', 'a', 'sixsix', 'to')).toBe('to');
  });

  it('is none of nothing', () => {
    expect(() => medianSample<number>([], Number)).toThrow('no runs');
  });
});
