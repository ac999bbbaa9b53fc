import { describe, expect, it } from 'vitest';

import { formatTimeline } from '../../../hyper-cli/output/timeline.ts';

const start = {
  Origin: 'boot',
  Timeline: { prepare: 10, spawn: 20, running: 0, agent: 168, request: 2 },
} as const;

describe('the timeline of a start', () => {
  it('has two columns for programs', () => {
    expect(formatTimeline(start, { bars: false })).toBe(
      [
        'origin             boot',
        'prepare            10.0',
        'spawn              20.0',
        'running             0.0',
        'agent             168.0',
        'request             2.0',
        'total             200.0',
        '',
      ].join('\n'),
    );
  });

  it('has the same columns and bars for people, each of which begins where its phase does', () => {
    expect(formatTimeline(start, { bars: true })).toBe(
      [
        'origin             boot',
        'prepare            10.0  ██',
        'spawn              20.0    ████',
        'running             0.0',
        `agent             168.0  ${' '.repeat(6)}${'█'.repeat(34)}`,
        `request             2.0  ${' '.repeat(39)}▏`,
        'total             200.0',
        '',
      ].join('\n'),
    );
  });

  it('keeps within 40 columns, whatever the phases take', () => {
    const many = Object.fromEntries(Array.from({ length: 90 }, (_, at) => [`p${String(at)}`, 0.3]));
    const text = formatTimeline({ Origin: 'pool', Timeline: many }, { bars: true });
    const columns = text.split('\n').map((line) => line.slice(25).length);
    expect(Math.max(...columns)).toBe(40);
  });

  it('bears a start without any phase that took time', () => {
    const nothing = { Origin: 'pool', Timeline: { pool: 0 } } as const;
    expect(formatTimeline(nothing, { bars: true })).toBe(
      'origin             pool\npool                0.0\ntotal               0.0\n',
    );
  });
});
