import { beforeEach, describe, expect, it } from 'vitest';

import { CallPlan, PlanParts } from '../../../../hyperstart/sys/call-plan.ts';
import { Kernel } from '../../../../hyperstart/sys/kernel.ts';
import { FakeNative } from '../../../support/fake-native.ts';

let native: FakeNative;
let kernel: Kernel;

beforeEach(() => {
  native = new FakeNative();
  native.runsChildren = true;
  kernel = new Kernel(native);
});

/** The place of the call that failed, if any. */
function carryOut(plan: CallPlan): number | undefined {
  native.calls.length = 0;
  native.spawn(0, -1, -1, plan.encode());
  return native.failed?.place;
}

/** A call of its own, a part of two, and one more of its own. */
function planWith(parts: PlanParts): CallPlan {
  const plan = new CallPlan(kernel);
  plan.begin('first');
  plan.add('enter', ['chdir', '/a']);
  const part = parts.get('masks', 'b', (inside) => {
    inside.add('enter', ['chdir', '/b']);
    inside.add('leave', ['chdir', '/c']);
  });
  plan.include(part);
  plan.begin('last');
  plan.add('enter', ['chdir', '/d']);
  return plan;
}

describe('a part of plans', () => {
  it('is carried out where it was included, in every plan', () => {
    const parts = new PlanParts(kernel);
    for (let times = 0; times < 2; times++) {
      expect(carryOut(planWith(parts))).toBeUndefined();
      const paths = native.argumentsOf('chdir').map(([path]) => path);
      expect(paths).toEqual(['/a', '/b', '/c', '/d']);
    }
  });

  it('is planned once, and anew for another key or step', () => {
    const parts = new PlanParts(kernel);
    let times = 0;
    const get = (step: string, key: string) =>
      parts.get(step, key, () => {
        times += 1;
      });
    expect(get('a', 'b')).toBe(get('a', 'b'));
    get('a', 'c');
    get('b', 'b');
    expect(times).toBe(3);
  });

  it.each([
    ['/a', 'first', 'enter /a'],
    ['/b', 'masks', 'enter /b'],
    ['/c', 'masks', 'leave /c'],
    ['/d', 'last', 'enter /d'],
  ])('is told from what is before and after it when %s fails', (failing, step, operation) => {
    const parts = new PlanParts(kernel);
    planWith(parts);
    native.handlers.set('chdir', (path) => (path === failing ? -5 : 0));
    const plan = planWith(parts);

    const place = carryOut(plan);

    expect(plan.labelOf(place ?? -1)).toEqual({ step, operation });
  });

  it('may be longer than the plan has room for', () => {
    const part = new PlanParts(kernel).get('many', '', (inside) => {
      for (let count = 0; count < 500; count++) inside.add('enter', ['chdir', `/${String(count)}`]);
    });
    const plan = new CallPlan(kernel);
    plan.include(part);

    carryOut(plan);

    expect(native.argumentsOf('chdir')).toHaveLength(500);
    expect(native.argumentsOf('chdir').at(-1)).toContain('/499');
  });

  it('is not kept when it cannot be planned', () => {
    const parts = new PlanParts(kernel);
    const plan = () =>
      parts.get('a', 'b', (inside) => {
        inside.add('enter', ['chdir', 'a\0b']);
      });
    expect(plan).toThrow('NUL');
    expect(plan).toThrow('NUL');
  });
});
