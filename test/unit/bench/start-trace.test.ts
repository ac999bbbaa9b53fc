import { describe, expect, it } from 'vitest';

import { toStartSpans } from '../../../bench/measure/start-trace.ts';

const times = new Map([
  ['create', 1030],
  ['start', 1240],
  ['die', 1280],
  ['destroy', 1281],
]);

const observed = {
  calledAt: 1000,
  at: (action: string) => times.get(action) ?? Number.NaN,
  timeline: { spawn: 40.5, agent: 160 },
  returnedAt: 1290,
};

describe('the spans of a start', () => {
  it('are those of hyperd, between its client and the container', () => {
    expect(toStartSpans(observed)).toEqual([
      { name: 'CLI, create', startMs: 0, durationMs: 30 },
      { name: 'attach', startMs: 30, durationMs: 9.5 },
      { name: 'spawn', startMs: 39.5, durationMs: 40.5 },
      { name: 'agent', startMs: 80, durationMs: 160 },
      { name: 'run', startMs: 240, durationMs: 40 },
      { name: 'teardown', startMs: 280, durationMs: 1 },
      { name: 'CLI, exit', startMs: 281, durationMs: 9 },
    ]);
  });

  it('never last less than nothing, though events have whole milliseconds', () => {
    const timeline = { spawn: 210.4 };
    const [, attach, spawn] = toStartSpans({ ...observed, timeline });
    expect(attach).toMatchObject({ name: 'attach', durationMs: 0 });
    expect(spawn).toMatchObject({ startMs: 30, durationMs: 210.4 });
  });

  it('are not made up where an event is missing', () => {
    const at = (action: string): number => (action === 'die' ? Number.NaN : observed.at(action));
    expect(() => toStartSpans({ ...observed, at })).toThrow('no events tell of run');
  });
});
