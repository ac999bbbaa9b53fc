import { beforeEach, describe, expect, it } from 'vitest';

import {
  cgroupOfProcess,
  ContainerCgroup,
  containersCgroup,
  enableControllers,
  limitFiles,
} from '../../../hyperstart/cgroup.ts';
import type { Resources } from '../../../hyperstart/protocol/message.ts';
import { SysError } from '../../../hyperstart/sys/sys.ts';
import { FakeSys } from '../../support/fake-sys.ts';
import { containerConfig } from '../../support/guest-bench.ts';

const path = `${containersCgroup}/c1`;

function resources(changes: Partial<Resources>): Resources {
  return { ...containerConfig().resources, ...changes };
}

describe('the limits of a container', () => {
  it('are none unless asked for', () => {
    expect(limitFiles(resources({}))).toEqual([['memory.oom.group', '0']]);
  });

  it('become cgroup v2 files', () => {
    const all = resources({
      memoryBytes: 1000,
      memorySwapBytes: 1500,
      memoryReservationBytes: 200,
      cpuQuotaMicros: 50000,
      cpuPeriodMicros: 100000,
      cpuWeight: 39,
      cpusetCpus: '0-1',
      cpusetMems: '0',
      pidsLimit: 20,
    });
    expect(Object.fromEntries(limitFiles(all))).toEqual({
      'memory.oom.group': '0',
      'memory.max': '1000',
      'memory.swap.max': '500',
      'memory.low': '200',
      'cpu.max': '50000 100000',
      'cpu.weight': '39',
      'cpuset.cpus': '0-1',
      'cpuset.mems': '0',
      'pids.max': '20',
    });
  });

  it('allow no swap when memory and swap are limited alike', () => {
    const limits = limitFiles(resources({ memoryBytes: 1000, memorySwapBytes: 1000 }));
    expect(limits).toContainEqual(['memory.swap.max', '0']);
  });

  it.each([
    { memoryBytes: null, memorySwapBytes: 1000 },
    { memoryBytes: 2000, memorySwapBytes: 1000 },
  ])('refuse a swap limit that does not fit: %o', (changes) => {
    expect(() => limitFiles(resources(changes))).toThrow('needs a memory limit');
  });
});

describe('the cgroup of a container', () => {
  let sys: FakeSys;
  beforeEach(() => {
    sys = new FakeSys();
    sys.makeDirectory(containersCgroup, 0o755);
  });

  it('gets its limits when it is made', () => {
    ContainerCgroup.create(sys, 'c1', resources({ pidsLimit: 7 }));
    expect(sys.files.read(`${path}/pids.max`)).toBe('7');
  });

  it.each([
    ['EINVAL', 'INVALID_ARGUMENT', 'invalid value "9" for cpuset.cpus'],
    ['ENOENT', 'UNSUPPORTED', 'the guest kernel cannot limit cpuset.cpus'],
  ])('is not left behind when a limit fails with %s', (errno, code, message) => {
    sys.failures.set(`write ${path}/cpuset.cpus`, new SysError('write', errno, errno));
    expect(() => ContainerCgroup.create(sys, 'c1', resources({ cpusetCpus: '9' }))).toThrow(
      expect.objectContaining({ code, message }),
    );
    expect(sys.files.exists(path)).toBe(false);
  });

  it('does without a swap limit where the kernel has no swap', () => {
    sys.failures.set(`write ${path}/memory.swap.max`, new SysError('write', 'ENOENT', ''));
    const limits = resources({ memoryBytes: 1000, memorySwapBytes: 1000 });
    expect(ContainerCgroup.create(sys, 'c1', limits).path).toBe(path);
  });

  it('counts and removes what the container made below it', () => {
    const group = ContainerCgroup.create(sys, 'c1', resources({}));
    sys.makeDirectory(`${path}/init`, 0o755);
    sys.makeDirectory(`${path}/docker`, 0o755);
    sys.makeDirectory(`${path}/docker/inner`, 0o755);
    sys.writeFile(`${path}/init/cgroup.procs`, '41\n42\n');
    sys.writeFile(`${path}/docker/inner/cgroup.procs`, '43\n');
    expect([...group.processIds()].sort()).toEqual([41, 42, 43]);
    group.remove();
    expect(sys.files.exists(path)).toBe(false);
  });

  it('is where a further process goes, or below it where the first one has moved', () => {
    const group = ContainerCgroup.create(sys, 'c1', resources({}));
    sys.files.put('/proc/40/cgroup', '0::/containers/c1\n');
    sys.files.put('/proc/41/cgroup', '0::/containers/c1/init\n');
    sys.files.put('/proc/42/cgroup', '0::/containers/c10\n');
    expect([40, 41, 42, 99].map((pid) => cgroupOfProcess(sys, group, pid))).toEqual([
      path,
      `${path}/init`,
      path,
      path,
    ]);
  });

  it('lends its children the controllers that the kernel has', () => {
    sys.writeFile(`${containersCgroup}/cgroup.controllers`, 'cpu memory misc');
    enableControllers(sys, containersCgroup);
    expect(sys.files.read(`${containersCgroup}/cgroup.subtree_control`)).toBe('+cpu +memory');
  });
});
