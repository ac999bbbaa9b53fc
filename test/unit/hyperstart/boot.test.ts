import { describe, expect, it } from 'vitest';

import { bootGuest, prepareForContainers } from '../../../hyperstart/boot.ts';
import { SysError } from '../../../hyperstart/sys/sys.ts';
import { FakeSys } from '../../support/fake-sys.ts';

describe('booting the guest', () => {
  it('mounts the pseudo filesystems in an order that each finds its place', () => {
    const sys = new FakeSys();
    bootGuest(sys, {});
    expect(sys.mounts.map((mount) => mount.target)).toEqual([
      '/proc',
      '/sys',
      '/dev',
      '/dev/pts',
      '/run',
      '/sys/fs/cgroup',
    ]);
  });

  it('hands the controllers down to the containers', () => {
    const sys = new FakeSys();
    bootGuest(sys, {});
    prepareForContainers(sys);
    const enabled = '+cpu +memory +io +pids +cpuset';
    expect(sys.files.read('/sys/fs/cgroup/cgroup.subtree_control')).toBe(enabled);
    expect(sys.files.read('/sys/fs/cgroup/containers/cgroup.subtree_control')).toBe(enabled);
  });

  it('brings the loopback interface up and sets the kernel', () => {
    const sys = new FakeSys();
    bootGuest(sys, {});
    prepareForContainers(sys);
    expect(sys.journal).toContain('up 1 65536');
    expect(sys.files.read('/proc/sys/vm/max_map_count')).toBe('262144');
    expect(sys.files.read('/proc/sys/vm/compaction_proactiveness')).toBe('0');
  });

  it('notes when each phase ended', () => {
    const timeline = {};
    bootGuest(new FakeSys(), timeline);
    expect(Object.keys(timeline)).toEqual(['mounts']);
  });

  it('does not mind a filesystem that the kernel has mounted already', () => {
    const sys = new FakeSys();
    sys.failures.set('mount /dev', new SysError('mount', 'EBUSY', 'busy'));
    expect(() => {
      bootGuest(sys, {});
    }).not.toThrow();
  });

  it('names the phase and the cause of a failure', () => {
    const sys = new FakeSys();
    sys.failures.set('mount /sys', new SysError('mount sysfs', 'ENODEV', 'No such device'));
    expect(() => {
      bootGuest(sys, {});
    }).toThrow('boot phase "mounts" failed: mount sysfs: No such device');
  });
});
