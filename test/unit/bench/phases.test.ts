import { describe, expect, it } from 'vitest';

import { toBootParts, toPhases } from '../../../bench/phases.ts';

const timeline = {
  prepare: 20,
  spawn: 40,
  monitor: 70,
  running: 75,
  agent: 1095,
  network: 30,
  mounts: 110,
  process: 150,
};

describe('toPhases', () => {
  it('turns the marks of a start into durations', () => {
    expect(Object.fromEntries(toPhases(timeline))).toEqual({
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
    const sum = [...toPhases(timeline).values()].reduce((total, value) => total + value, 0);
    expect(sum).toBe(timeline.agent + timeline.process);
  });

  it('names the mark that is missing', () => {
    expect(() => toPhases({ prepare: 1 })).toThrow('no spawn');
  });
});

describe('toBootParts', () => {
  it('splits the way to the hello by the guest’s clock', () => {
    expect(toBootParts(1000, { mounts: 700, cgroups: 710, channel: 740 })).toEqual({
      firmwareMs: 260,
      kernelMs: 700,
      agentMs: 40,
    });
  });

  it('refuses a guest that tells too little', () => {
    expect(() => toBootParts(1, { mounts: 1 })).toThrow('only mounts');
  });
});
