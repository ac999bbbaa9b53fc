import { beforeEach, describe, expect, it } from 'vitest';

import { AsideCalls } from '../../../../hyperstart/sys/aside.ts';
import { Kernel } from '../../../../hyperstart/sys/kernel.ts';
import type { AsideStep } from '../../../../hyperstart/sys/sys.ts';
import { FakeNative } from '../../../support/fake-native.ts';

const ENODEV = 19;
const EEXIST = 17;

const steps: readonly AsideStep[] = [
  { action: 'mounting the disk', kind: 'directory', path: '/run/disks/0' },
  {
    action: 'mounting the disk',
    kind: 'mount',
    mount: { source: '/dev/vda', target: '/run/disks/0', type: 'ext4', flags: 4, data: '' },
  },
];

let native: FakeNative;
let aside: AsideCalls;

beforeEach(() => {
  native = new FakeNative();
  native.runsChildren = true;
  aside = new AsideCalls(new Kernel(native));
  let next = 100;
  native.handlers.set('pipe2', (buffer) => {
    new Int32Array(buffer as ArrayBuffer).set([next++, next++]);
    return 0;
  });
  native.handlers.set('ppoll', () => 1);
  native.handlers.set('read', (_fd, buffer) => {
    if (native.failed === null) return 0;
    const { place, errno } = native.failed;
    native.failed = null;
    new Int32Array(buffer as ArrayBuffer).set([place, errno]);
    return 8;
  });
});

describe('steps aside', () => {
  it('makes directories and mounts in order, in a process that ends by itself', () => {
    aside.begin(steps)();
    const made = native.calls.filter(([name]) => ['mkdirat', 'mount', 'exit_group'].includes(name));
    expect(made.map((call) => call.slice(0, 4))).toEqual([
      ['mkdirat', -100, '/run/disks/0', 0o755],
      ['mount', '/dev/vda', '/run/disks/0', 'ext4'],
      ['exit_group', 0, 0, 0],
    ]);
    expect(native.argumentsOf('spawn').map(([flags, cgroup]) => [flags, cgroup])).toEqual([
      [0, -1],
    ]);
  });

  it('does not mind a directory that is there', () => {
    native.handlers.set('mkdirat', () => -EEXIST);
    expect(aside.begin(steps)).not.toThrow();
  });

  it('says what was being done when a step fails, whenever it is asked', () => {
    native.handlers.set('mount', () => -ENODEV);
    const finish = aside.begin(steps);
    aside.settle();
    expect(finish).toThrow('mounting the disk: No such device');
    expect(finish).toThrow('mounting the disk: No such device');
  });

  it('waits for the mounts before it begins with others, whose failure is not theirs', () => {
    const first = aside.begin(steps);
    native.handlers.set('mount', () => -ENODEV);
    const second = aside.begin(steps);
    expect(native.argumentsOf('ppoll')).toHaveLength(1);
    expect(first).not.toThrow();
    expect(second).toThrow('No such device');
  });

  it('keeps no descriptor, also when no process can be had', () => {
    aside.begin(steps)();
    native.spawn = () => -12;
    expect(() => aside.begin(steps)).toThrow('start a process: Out of memory');
    const closed = native.argumentsOf('close').map(([fd]) => fd);
    expect(closed.toSorted()).toEqual([100, 101, 102, 103]);
  });

  it('ends a process that says nothing', () => {
    native.handlers.set('ppoll', () => 0);
    expect(aside.begin(steps)).toThrow('it did not come as far as its program');
    expect(native.argumentsOf('kill')).toEqual([[1234, 9]]);
  });
});
