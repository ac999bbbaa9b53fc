import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Device, VmConfig } from '../../../../../hyperd/hypervisor/driver.ts';
import {
  checkDevices,
  deviceName,
  machineArguments,
  parseDeviceName,
  qemuArguments,
} from '../../../../../hyperd/hypervisor/qemu/command-line.ts';

const host = { kvm: false, vhostNet: false, qboot: true };

function config(devices: readonly Device[], changes: Partial<VmConfig> = {}): VmConfig {
  return {
    id: 'a'.repeat(64),
    runDirectory: '/run/vm',
    kernelPath: '/kernel',
    initrdPath: '/initrd',
    kernelArguments: ['extra=1'],
    memoryMiB: 128,
    vcpus: 2,
    devices,
    ...changes,
  };
}

function disks(count: number): readonly Device[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: 'disk',
    id: `d${String(index)}`,
    path: '/layer',
    readOnly: true,
  }));
}

/** The JSON values of an option, in order. */
function values(args: readonly string[], option: string): readonly Record<string, unknown>[] {
  return args
    .filter((value, index) => args[index - 1] === option && value.startsWith('{'))
    .map((value) => JSON.parse(value) as Record<string, unknown>);
}

describe('qemuArguments', () => {
  it('denies the process everything that the sandbox can deny', () => {
    expect(qemuArguments(config([]), host)).toContain(
      'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    );
  });

  it('emulates without KVM and runs on the host processor with it', () => {
    expect(machineArguments(host).join(' ')).toContain('-accel tcg');
    const accelerated = machineArguments({ ...host, kvm: true, qboot: false }).join(' ');
    expect(accelerated).toContain('-accel kvm -cpu host');
    expect(accelerated).not.toContain('-bios');
  });

  it("puts the caller's kernel words behind the driver's", () => {
    const args = qemuArguments(config([]), host);
    expect(args[args.indexOf('-append') + 1]).toMatch(/^quiet .* extra=1$/);
  });

  it('doubles the commas of paths in option lists', () => {
    const args = qemuArguments(config([], { runDirectory: '/run/a,b' }), host);
    expect(args.join(' ')).toContain('path=/run/a,,b/qmp.sock');
  });

  it('opens files as they are, never by a format that a guest could write into them', () => {
    const disk: Device = { kind: 'disk', id: 'w', path: '/a,b "c"', readOnly: false };
    const [node] = values(qemuArguments(config([disk]), host), '-blockdev');
    expect(node).toMatchObject({ driver: 'file', filename: '/a,b "c"', 'read-only': false });
  });

  it('shares layers without a lock and locks what is written', () => {
    const shared: Device = { kind: 'disk', id: 'l', path: '/l', readOnly: true };
    const own: Device = { kind: 'disk', id: 'w', path: '/w', readOnly: false };
    const nodes = values(qemuArguments(config([shared, own]), host), '-blockdev');
    expect(nodes.map(({ locking }) => locking)).toEqual(['off', 'auto']);
  });

  it('gives 176 disks an address of their own each', () => {
    const devices = values(qemuArguments(config(disks(176)), host), '-device');
    const addresses = devices.map(({ addr }) => addr);
    expect(new Set(addresses).size).toBe(176);
    expect(addresses.at(-1)).toBe('0x1d.7');
  });

  it('connects a NIC to its TAP without scripts and without a boot ROM', () => {
    const nic: Device = {
      kind: 'nic',
      id: 'eth0',
      tapName: 'hyp1',
      macAddress: '02:00:00:00:00:01',
    };
    const args = qemuArguments(config([nic]), host);
    expect(values(args, '-netdev')).toEqual([
      {
        ...{ type: 'tap', id: 'net-eth0', ifname: 'hyp1', vhost: false },
        ...{ script: 'no', downscript: 'no' },
      },
    ]);
    expect(values(args, '-device')[0]).toMatchObject({ mac: '02:00:00:00:00:01', romfile: '' });
  });
});

describe('checkDevices', () => {
  it.each(['', 'a,b', 'a b', 'ä', 'x'.repeat(21), 'a/b', 'a"'])('refuses the id %j', (id) => {
    expect(() => {
      checkDevices([{ kind: 'disk', id, path: '/d', readOnly: true }]);
    }).toThrow('1 to 20 characters');
  });

  it('refuses an id that comes twice, and more disks than there are addresses', () => {
    expect(() => {
      checkDevices([...disks(2), ...disks(1)]);
    }).toThrow('device id d0: given twice');
    expect(() => {
      checkDevices(disks(185));
    }).toThrow('185 devices of kind disk: a VM has room for 176');
  });
});

describe('device names', () => {
  it('are read back as they were written', () => {
    const kind = fc.constantFrom('disk', 'nic');
    fc.assert(
      fc.property(kind, fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/), (of, id) => {
        expect(parseDeviceName(deviceName(of, id))).toEqual({ kind: of, id });
        expect(deviceName(of, id)).toMatch(/^[a-z]/);
      }),
    );
  });

  it('of other devices are nobody of ours', () => {
    expect(parseDeviceName('hotplug0')).toBeNull();
  });
});
