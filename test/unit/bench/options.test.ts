import { describe, expect, it } from 'vitest';

import { parseOptions } from '../../../bench/options.ts';

describe('the options of the bench', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toEqual({
      runs: 5,
      stdioMiB: 256,
      scenarios: ['cold', 'memory', 'stdio', 'load'],
    });
  });

  it('say how often, how much, and what', () => {
    const args = ['--runs', '9', '--size', '2G', '--only', 'load', '--only', 'cold'];
    expect(parseOptions(args)).toEqual({ runs: 9, stdioMiB: 2048, scenarios: ['cold', 'load'] });
    expect(parseOptions(['--full']).stdioMiB).toBe(1024);
    expect(parseOptions(['--size', '64M']).stdioMiB).toBe(64);
  });

  it.each([
    [['--runs', '0'], '--runs 0: not a number'],
    [['--runs', '2.5'], '--runs 2.5: not a number'],
    [['--size', '10'], '--size 10: not a size'],
    [['--size', '0M'], '--size 0M: not a size'],
    [['--full', '--size', '1M'], 'exclude each other'],
    [['--only', 'warm'], '--only warm: known are cold'],
    [['--nope'], '--nope'],
    [['word'], 'word'],
  ])('refuse %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
