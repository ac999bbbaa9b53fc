import { describe, expect, it } from 'vitest';

import { Findings } from '../../../bench/findings.ts';

describe('findings', () => {
  it('keep figures with their samples', () => {
    const findings = new Findings();
    findings.add('start', 'ms', [3, 1, 2]);
    expect(findings.figures).toEqual([
      {
        name: 'start',
        unit: 'ms',
        samples: [3, 1, 2],
        summary: { median: 2, lowerQuartile: 1.5, upperQuartile: 2.5, runs: 3 },
      },
    ]);
  });

  it('divide run by run, so that what slows both down is in neither', () => {
    const findings = new Findings();
    findings.addRatio(
      'a ÷ b',
      [
        [2, 60, 4],
        [1, 20, 4],
      ],
      'exec',
    );
    expect(findings.figures[0]).toMatchObject({
      samples: [2, 3, 1],
      summary: { median: 2 },
      bar: 'exec',
    });
  });

  it('keep why a figure is missing, and a ratio with it', () => {
    const findings = new Findings();
    findings.add('docker', 'ms', { absent: 'no docker' });
    findings.addRatio('ratio', [[1], { absent: 'no docker' }], 'pool');
    findings.addRatio('ratio', [{ absent: 'no hyper' }, [1]]);
    expect(findings.figures).toEqual([]);
    expect(findings.gaps).toEqual([
      { name: 'docker', reason: 'no docker' },
      { name: 'ratio', reason: 'no docker', bar: 'pool' },
      { name: 'ratio', reason: 'no hyper' },
    ]);
  });

  it('keep a reason that is one line, and not long', () => {
    const findings = new Findings();
    findings.add('a', '', { absent: `docker:\n  ${'x'.repeat(1000)}` });
    expect(findings.gaps[0]?.reason).toBe(`docker: ${'x'.repeat(191)}…`);
  });

  it('refuse a ratio of unequal numbers of runs', () => {
    expect(() => {
      new Findings().addRatio('ratio', [[1, 2], [1]]);
    }).toThrow('NaN');
  });
});
