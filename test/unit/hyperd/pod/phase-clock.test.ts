import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { PhaseClock, spansOf } from '../../../../hyperd/pod/phase-clock.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a clock of phases', () => {
  it('ends each where the next begins, from when it is told to', () => {
    const clock = new PhaseClock();
    vi.advanceTimersByTime(100);
    clock.begin();
    vi.advanceTimersByTime(5);
    clock.end('prepare');
    vi.advanceTimersByTime(20);
    clock.end('agent');
    expect(Object.entries(clock.timeline)).toEqual([
      ['prepare', 5],
      ['agent', 20],
    ]);
  });

  it('adds to a phase that comes again, which keeps its place', () => {
    const clock = new PhaseClock();
    for (const phase of ['prepare', 'agent', 'prepare']) {
      vi.advanceTimersByTime(3);
      clock.end(phase);
    }
    expect(JSON.stringify(clock.timeline)).toBe('{"prepare":6,"agent":3}');
  });

  it('makes one phase of those that led to nothing, and goes on', () => {
    const clock = new PhaseClock();
    for (const phase of ['pool', 'prepare']) {
      vi.advanceTimersByTime(3);
      clock.end(phase);
    }
    vi.advanceTimersByTime(4);
    clock.fold('lost');
    vi.advanceTimersByTime(5);
    clock.end('prepare');
    expect(JSON.stringify(clock.timeline)).toBe('{"lost":10,"prepare":5}');
  });

  it('tells what others have timed apart from the rest', () => {
    const clock = new PhaseClock();
    vi.advanceTimersByTime(50);
    clock.end('agent', { spawn: 10, running: 25 });
    expect(JSON.stringify(clock.timeline)).toBe('{"spawn":10,"running":25,"agent":15}');
  });

  it('believes nobody who claims more time than has passed, or less than none', () => {
    const clock = new PhaseClock();
    vi.advanceTimersByTime(50);
    clock.end('request', { network: -1e9, mounts: 40, process: Number.MAX_VALUE });
    expect(clock.timeline).toEqual({ network: 0, mounts: 40, process: 10, request: 0 });
  });

  it('tells tenths of milliseconds', () => {
    const clock = new PhaseClock();
    vi.advanceTimersByTime(5);
    clock.end('prepare', { spawn: 1.26 });
    expect(clock.timeline).toEqual({ spawn: 1.3, prepare: 3.7 });
  });
});

it('marks that count from one moment become durations', () => {
  expect(spansOf({ spawn: 40, monitor: 70, running: 75 })).toEqual({
    spawn: 40,
    monitor: 30,
    running: 5,
  });
});
