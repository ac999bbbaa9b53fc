import { describe, expect, it } from 'vitest';

import { unlessAborted, withDeadline } from '../../../../hyperd/base/deadline.ts';

const never = new Promise<never>(() => undefined);

describe('withDeadline', () => {
  it('settles as the work does', async () => {
    expect(await withDeadline(Promise.resolve(7), 1000, 'work')).toBe(7);
    await expect(withDeadline(Promise.reject(new Error('no')), 1000, 'work')).rejects.toThrow('no');
  });

  it('rejects when the work takes too long, and names it', async () => {
    await expect(withDeadline(never, 5, 'waiting for it')).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: 'waiting for it: no answer within 5 ms',
    });
  });
});

describe('unlessAborted', () => {
  it('settles as the work does, and leaves no listener behind', async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(Promise.resolve(7), signal)).toBe(7);
  });

  it("rejects with the signal's reason, before and meanwhile", async () => {
    const reason = new Error('closing');
    await expect(unlessAborted(never, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = unlessAborted(never, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});
