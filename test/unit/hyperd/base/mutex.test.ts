import { describe, expect, it } from 'vitest';

import { Mutex } from '../../../../hyperd/base/mutex.ts';

describe('Mutex', () => {
  it('runs one action at a time, in the order of the calls, also after a failure', async () => {
    const mutex = new Mutex();
    const steps: string[] = [];
    const act = (name: string) => async (): Promise<void> => {
      steps.push(`${name} begins`);
      await new Promise(setImmediate);
      steps.push(`${name} ends`);
      if (name === 'first') throw new Error('first fails');
    };
    const first = mutex.run(act('first'));
    const second = mutex.run(act('second'));
    await expect(first).rejects.toThrow('first fails');
    await second;
    expect(steps).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
  });
});
