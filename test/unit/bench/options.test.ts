import { describe, expect, it } from 'vitest';

import { parseOptions, scenarioNames } from '../../../bench/options.ts';

describe('the options of the bench', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toEqual({
      effort: { runs: 5, fewRuns: 3, stdioMiB: 128, full: false },
      scenarios: scenarioNames,
      docker: true,
      list: false,
    });
  });

  it('say how often, how much, and what', () => {
    const args = ['--runs', '2', '--size', '2G', '--only', 'load,start', '--only', 'exec'];
    expect(parseOptions(args)).toEqual({
      effort: { runs: 2, fewRuns: 2, stdioMiB: 2048, full: false },
      scenarios: ['start', 'exec', 'load'],
      docker: true,
      list: false,
    });
    expect(parseOptions(['--size', '64M']).effort.stdioMiB).toBe(64);
  });

  it('measure the sizes of the bars, leave out Docker, or only list', () => {
    expect(parseOptions(['--full']).effort).toMatchObject({ stdioMiB: 1024, full: true });
    expect(parseOptions(['--no-docker']).docker).toBe(false);
    expect(parseOptions(['--list']).list).toBe(true);
  });

  it.each([
    [['--runs', '0'], '--runs 0: not a number'],
    [['--runs', '2.5'], '--runs 2.5: not a number'],
    [['--size', '10'], '--size 10: not a size'],
    [['--size', '0M'], '--size 0M: not a size'],
    [['--full', '--size', '1M'], 'exclude each other'],
    [['--only', 'warm'], '--only warm: known are start'],
    [['--only', 'start,'], '--only : known are start'],
    [['--nope'], '--nope'],
    [['word'], 'word'],
  ])('refuse %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
