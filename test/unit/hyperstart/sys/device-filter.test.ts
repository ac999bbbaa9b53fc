import { beforeEach, describe, expect, it } from 'vitest';

import { DeviceFilter } from '../../../../hyperstart/sys/device-filter.ts';
import { getUint64, Kernel } from '../../../../hyperstart/sys/kernel.ts';
import { FakeNative } from '../../../support/fake-native.ts';

const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const EACCES = 13;
const groupFd = 70;
const programFd = 71;
const cgroup = '/sys/fs/cgroup/containers/c1';

let native: FakeNative;

beforeEach(() => {
  native = new FakeNative();
  native.handlers.set('openat', () => groupFd);
  native.handlers.set('bpf', (command) => (command === BPF_PROG_LOAD ? programFd : 0));
});

function attributesOf(index: number): DataView {
  const [, attributes] = native.argumentsOf('bpf')[index] ?? [];
  return new DataView(attributes as ArrayBuffer);
}

const programOf = (...bytes: readonly number[]): ArrayBuffer => new Uint8Array(bytes).buffer;

describe('the device filter', () => {
  it('loads the program and attaches it to the group, beside those of others', () => {
    const program = new ArrayBuffer(24);
    new DeviceFilter(new Kernel(native)).limit(cgroup, program);
    expect(native.argumentsOf('bpf').map(([command]) => command)).toEqual([
      BPF_PROG_LOAD,
      BPF_PROG_ATTACH,
    ]);
    const load = attributesOf(0);
    expect([load.getUint32(0, true), load.getUint32(4, true)]).toEqual([15, 3]);
    expect(native.addresses.get(getUint64(load, 8))).toBe(program);
    const attach = attributesOf(1);
    expect([0, 4, 8, 12].map((at) => attach.getUint32(at, true))).toEqual([
      groupFd,
      programFd,
      6,
      2,
    ]);
  });

  it('loads a program once for the containers that have the same', () => {
    const filter = new DeviceFilter(new Kernel(native));
    filter.limit(cgroup, programOf(1, 2, 3, 4, 5, 6, 7, 8));
    filter.limit(cgroup, programOf(1, 2, 3, 4, 5, 6, 7, 8));
    expect(native.argumentsOf('bpf').map(([command]) => command)).toEqual([
      BPF_PROG_LOAD,
      BPF_PROG_ATTACH,
      BPF_PROG_ATTACH,
    ]);
    expect(native.argumentsOf('close')).toEqual([[groupFd], [groupFd]]);
  });

  it('keeps the last program only', () => {
    const filter = new DeviceFilter(new Kernel(native));
    filter.limit(cgroup, programOf(1, 2, 3, 4, 5, 6, 7, 8));
    filter.limit(cgroup, programOf(1, 2, 3, 4, 5, 6, 7, 9));
    filter.limit(cgroup, new ArrayBuffer(16));
    const commands = native.argumentsOf('bpf').map(([command]) => command);
    expect(commands.filter((command) => command === BPF_PROG_LOAD)).toHaveLength(3);
    const closed = native.argumentsOf('close').filter(([fd]) => fd === programFd);
    expect(closed).toHaveLength(2);
  });

  it('that was refused is tried again', () => {
    const filter = new DeviceFilter(new Kernel(native));
    const { handlers } = native;
    const good = handlers.get('bpf');
    handlers.set('bpf', () => -EACCES);
    expect(() => {
      filter.limit(cgroup, new ArrayBuffer(16));
    }).toThrow('load the device program');
    if (good !== undefined) handlers.set('bpf', good);
    filter.limit(cgroup, new ArrayBuffer(16));
    expect(native.argumentsOf('bpf')).toHaveLength(3);
  });

  it('keeps no descriptor when the kernel refuses the program', () => {
    native.handlers.set('bpf', () => -EACCES);
    expect(() => {
      new DeviceFilter(new Kernel(native)).limit(cgroup, new ArrayBuffer(16));
    }).toThrow('load the device program: Permission denied');
    expect(native.argumentsOf('close')).toEqual([[groupFd]]);
  });
});
