import { describe, expect, it } from 'vitest';

import { toMarkdown, toText } from '../../../bench/report.ts';
import { summarize } from '../../../bench/statistics.ts';

describe('summarize', () => {
  it('gives median and quartiles of an unordered sample', () => {
    expect(summarize([5, 1, 3, 2, 4])).toEqual({
      median: 3,
      lowerQuartile: 2,
      upperQuartile: 4,
      runs: 5,
    });
    expect(summarize([1, 2]).median).toBe(1.5);
  });

  it('refuses an empty sample', () => {
    expect(() => summarize([])).toThrow('no runs');
  });
});

describe('reports', () => {
  const figures = [
    { name: 'fast', value: '1.2', bar: '≤ 1.5', isMet: true },
    { name: 'slow', value: '2.0', bar: '≤ 1.5', isMet: false },
  ];

  it('mark a missed bar, in red on a terminal', () => {
    expect(toMarkdown(figures)).toContain('| slow | 2.0 | ≤ 1.5 | **missed** |');
    expect(toText(figures, true)).toContain('\u001b[31mslow');
    expect(toText(figures, false)).not.toContain('\u001b[');
  });
});
