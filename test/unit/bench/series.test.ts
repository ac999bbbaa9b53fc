import { describe, expect, it } from 'vitest';

import { combine, interleave, mapSamples, withPresent } from '../../../bench/measure/series.ts';

const never = new AbortController().signal;

describe('interleave', () => {
  it('measures everything once per round, and lets each begin, and follow each other one, in turn', async () => {
    const order: string[] = [];
    const subject = (name: string) => (round: number) => {
      order.push(`${name}${String(round)}`);
      return Promise.resolve(round);
    };
    const subjects = { a: subject('a'), b: subject('b'), c: subject('c') };
    expect(await interleave(3, subjects, never)).toEqual({
      a: [0, 1, 2],
      b: [0, 1, 2],
      c: [0, 1, 2],
    });
    expect(order).toEqual(['a0', 'b0', 'c0', 'b1', 'a1', 'c1', 'c2', 'a2', 'b2']);
  });

  it.each([1, 2, 4, 5])('takes each of %i in every round', async (count) => {
    const order: string[] = [];
    const names = Array.from({ length: count }, (_, index) => `s${String(index)}`);
    const subjects = Object.fromEntries(
      names.map((name) => [name, () => Promise.resolve(order.push(name))]),
    );
    await interleave(6, subjects, never);
    for (let round = 0; round < 6; round++) {
      const taken = order.slice(round * count, (round + 1) * count);
      expect(taken.toSorted()).toEqual(names);
    }
  });

  it('goes on without what is absent and what fails', async () => {
    const subjects = {
      good: () => Promise.resolve(1),
      gone: { absent: 'not installed' },
      bad: (round: number) =>
        round === 0 ? Promise.resolve(1) : Promise.reject(new Error('it broke')),
    };
    expect(await interleave(3, subjects, never)).toEqual({
      good: [1, 1, 1],
      gone: { absent: 'not installed' },
      bad: { absent: 'failed in run 2: it broke' },
    });
  });

  it('ends when it is told to, and blames nobody for it', async () => {
    const controller = new AbortController();
    const subjects = {
      interrupted: () => {
        controller.abort(new Error('ended by SIGINT'));
        return Promise.reject(new Error('killed'));
      },
    };
    await expect(interleave(1, subjects, controller.signal)).rejects.toThrow('ended by SIGINT');
  });
});

describe('samples', () => {
  it('are made of others run by run', () => {
    expect(mapSamples([1, 2], (value) => value * 2)).toEqual([2, 4]);
    expect(combine([5, 7], [1, 2], (a, b) => a - b)).toEqual([4, 5]);
    expect(withPresent({ name: 'docker' }, ({ name }) => name)).toBe('docker');
  });

  it('are absent, with the reason, when what they are made of is', () => {
    const absent = { absent: 'why' };
    expect(mapSamples(absent, () => 1)).toBe(absent);
    expect(combine(absent, [1], () => 1)).toBe(absent);
    expect(combine([1], absent, () => 1)).toBe(absent);
    expect(withPresent(absent, () => 1)).toBe(absent);
  });
});
