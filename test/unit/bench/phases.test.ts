import { describe, expect, it } from 'vitest';

import { toBootParts, toPhases } from '../../../bench/measure/phases.ts';

const timeline = {
  prepare: 20,
  spawn: 40,
  monitor: 70,
  running: 75,
  agent: 1095,
  network: 30,
  mounts: 80,
  process: 40,
};

describe('toPhases', () => {
  it('turns marks into durations', () => {
    expect(toPhases(timeline)).toEqual({
      prepare: 20,
      spawn: 40,
      monitor: 30,
      running: 5,
      boot: 1000,
      network: 30,
      mounts: 80,
      process: 40,
    });
  });

  it('adds up to the whole way', () => {
    const sum = Object.values(toPhases(timeline)).reduce((total, value) => total + value, 0);
    expect(sum).toBe(timeline.agent + 30 + 80 + 40);
  });

  it('names the mark that is missing', () => {
    expect(() => toPhases({ prepare: 1 })).toThrow('no spawn');
  });
});

describe('toBootParts', () => {
  it('splits the way to the hello by the guest’s clock', () => {
    expect(toBootParts(1000, { kernel: 700, mounts: 710, channel: 740 })).toEqual({
      outsideMs: 260,
      kernelMs: 700,
      agentMs: 40,
    });
  });

  it('refuses a guest that tells too little', () => {
    expect(() => toBootParts(1, { kernel: 1 })).toThrow('no channel');
  });
});
