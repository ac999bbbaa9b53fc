import { describe, expect, it } from 'vitest';

import { toBootParts, toPhases } from '../../../bench/measure/phases.ts';

const timeline = {
  prepare: 20,
  spawn: 40,
  monitor: 30,
  running: 5,
  kernel: 800,
  init: 100,
  agent: 100,
  network: 30,
  mounts: 80,
  process: 40,
  request: 6,
};

describe('toPhases', () => {
  it('calls the way to the agent the boot', () => {
    const { kernel, init, agent, request: _, ...others } = timeline;
    expect(toPhases(timeline)).toEqual({ ...others, boot: kernel + init + agent });
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
