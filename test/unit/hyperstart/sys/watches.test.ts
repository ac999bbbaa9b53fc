import { beforeEach, describe, expect, it } from 'vitest';

import { Kernel } from '../../../../hyperstart/sys/kernel.ts';
import { Watches } from '../../../../hyperstart/sys/watches.ts';
import { FakeNative } from '../../../support/fake-native.ts';

const setFd = 30;
const ENOSPC = 28;

let native: FakeNative;
let watches: Watches;

beforeEach(() => {
  native = new FakeNative();
  native.handlers.set('epoll_create1', () => setFd);
  watches = new Watches(new Kernel(native));
});

/** The kernel's next answer: these events of this descriptor, or none. */
function raise(fd: number, events: number, count = 1): void {
  native.handlers.set('epoll_pwait', (_set, buffer) => {
    const view = new DataView(buffer as ArrayBuffer);
    view.setUint32(0, events, true);
    view.setInt32(4, fd, true);
    return count;
  });
  native.onEvent?.();
}

describe('Watches', () => {
  it('calls back with the events of the descriptor that has them', () => {
    const called: string[] = [];
    watches.add('watch', 7, 1, (events) => called.push(`7: ${String(events)}`));
    watches.add('watch', 8, 2, (events) => called.push(`8: ${String(events)}`));
    raise(8, 10);
    raise(7, 1);
    expect(called).toEqual(['8: 10', '7: 1']);
    expect(native.argumentsOf('listen')).toEqual([[setFd]]);
  });

  it('calls nobody for an event that is gone, or whose watch has ended', () => {
    let calls = 0;
    watches.add('watch', 7, 1, () => calls++);
    raise(7, 1, 0);
    watches.end(7);
    raise(7, 1);
    expect(calls).toBe(0);
    expect(native.argumentsOf('close')).toEqual([[7]]);
  });

  it('lets a callback end its own watch', () => {
    watches.add('watch', 7, 1, () => {
      watches.end(7);
    });
    raise(7, 1);
    expect(native.argumentsOf('close')).toEqual([[7]]);
  });

  it('tells what could not be watched', () => {
    native.handlers.set('epoll_ctl', () => -ENOSPC);
    expect(() => {
      watches.add('watch memory.events', 7, 1, () => undefined);
    }).toThrow('watch memory.events: No space left on device');
  });
});
