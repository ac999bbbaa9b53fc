import { describe, expect, it } from 'vitest';

import { Findings } from '../../../bench/findings.ts';
import { addPair } from '../../../bench/scenarios/compare.ts';

const names = ({ figures }: Findings): readonly (readonly [string, string, number])[] =>
  figures.map(({ name, unit, summary }) => [name, unit, summary.median]);

describe('a pair', () => {
  it('is shown as times and their ratio', () => {
    const findings = new Findings();
    addPair(findings, { hyper: [30], docker: [20] }, { what: '', unit: 'ms', bar: 'exec' });
    expect(names(findings)).toEqual([
      ['Hyper', 'ms', 30],
      ['Docker with runc', 'ms', 20],
      ['Hyper ÷ Docker', '', 1.5],
    ]);
    expect(findings.figures[2]?.bar).toBe('exec');
  });

  it('is shown in another unit, where the ratio remains that of the times', () => {
    const findings = new Findings();
    const convert = (milliseconds: number): number => 1000 / milliseconds;
    addPair(findings, { hyper: [50], docker: [10] }, { what: 'read', unit: 'IOPS', convert });
    expect(names(findings)).toEqual([
      ['Hyper: read', 'IOPS', 20],
      ['Docker with runc: read', 'IOPS', 100],
      ['read: time, Hyper ÷ Docker', '', 5],
    ]);
  });

  it('shows the one that is there', () => {
    const findings = new Findings();
    const pair = { hyper: [5], docker: { absent: 'no Docker' } };
    addPair(findings, pair, { what: '', unit: 'ms' });
    expect(findings.figures.map(({ name }) => name)).toEqual(['Hyper']);
    expect(findings.gaps.map(({ name }) => name)).toEqual(['Docker with runc', 'Hyper ÷ Docker']);
  });
});
