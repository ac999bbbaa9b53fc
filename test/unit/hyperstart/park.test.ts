import { beforeEach, describe, expect, it } from 'vitest';

import { SysError } from '../../../hyperstart/sys/sys.ts';
import { containerConfig, GuestBench, podConfig } from '../../support/guest-bench.ts';

const hardware = '02:00:00:00:00:01';
const given = '02:42:00:00:00:07';
const eth0 = {
  name: 'eth0',
  macAddress: given,
  deviceMacAddress: hardware,
  mtu: 1500,
  addresses: ['172.18.0.2/16'],
};

let guest: GuestBench;
beforeEach(() => {
  guest = new GuestBench();
  guest.connect();
  guest.sys.plugNic(2, 'eth0', hardware);
});

const park = () => guest.request('park', {});

/** As hyperd rehearses: parks, runs a container to its end, and forgets it. */
async function rehearse(): Promise<void> {
  await park();
  const pod = podConfig({ interfaces: [eth0] });
  const started = await guest.request('start', { pod, container: containerConfig() });
  expect(started).toMatchObject({ timeline: {} });
  const { pid } = started as { readonly pid: number };
  guest.sys.endProcess(pid);
  guest.drain(1, 2, 3);
  guest.sys.advance(1);
  expect(await guest.request('release', { containerId: 'c1', execId: null })).toEqual({});
}

/** Device by mount point of the disks that are mounted. */
function mountedDisks(): readonly string[] {
  const { mounts } = guest.sys;
  return mounts.filter(({ source }) => source.startsWith('/dev/vd')).map(({ source }) => source);
}

describe('parking', () => {
  it('leaves no disk with a driver, and a NIC that nothing was done with', async () => {
    await rehearse();
    expect(await park()).toEqual({});

    expect(guest.sys.virtio.names).toEqual(['eth0']);
    expect(guest.sys.files.list('/sys/class/block')).toEqual([]);
    expect(guest.sys.nics.at(-1)).toMatchObject({ name: 'eth0', macAddress: hardware });
  });

  it('does nothing to what is parked already', async () => {
    await park();
    expect(await park()).toEqual({});

    const params = { pod: podConfig({ interfaces: [eth0] }), container: containerConfig() };
    expect(await guest.request('start', params)).toMatchObject({ timeline: {} });
  });

  it('is refused while a container is there, though its process has ended', async () => {
    const pid = await guest.start();
    const refusal = { code: 'INVALID_STATE', message: 'the pod is in use' };
    expect(await park()).toEqual(refusal);

    guest.sys.endProcess(pid);
    guest.drain(1, 2, 3);
    guest.sys.advance(1);
    expect(await park()).toEqual(refusal);
    expect(guest.sys.virtio.names).toContain('vda');

    await guest.request('release', { containerId: 'c1', execId: null });
    expect(await park()).toEqual({});
  });

  it('is refused while a pod waits for its NIC', async () => {
    const interfaces = [{ ...eth0, deviceMacAddress: '02:00:00:00:00:99' }];
    guest.send('start', { pod: podConfig({ interfaces }), container: containerConfig() });

    expect(await park()).toMatchObject({ code: 'INVALID_STATE' });
  });

  it('tells which step the kernel refused', async () => {
    const file = '/sys/bus/virtio/drivers/virtio_blk/unbind';
    guest.sys.failures.set(`write ${file}`, new SysError(`write ${file}`, 'EIO', 'I/O error'));

    const { message } = (await park()) as { readonly message: string };

    expect(message).toMatch(/^parking the devices: .*I\/O error/);
  });
});

describe('a parked NIC', () => {
  const conf = '/proc/sys/net/ipv6/conf';
  const switches = () => guest.sys.journal.filter((entry) => entry.includes('disable_ipv6'));

  it('comes back without IPv6, and interfaces of the pod itself have it', async () => {
    await park();
    const bind = guest.sys.journal.findIndex((entry) => entry.includes('virtio_net/bind'));
    expect(guest.sys.journal[bind - 1]).toBe(`write ${conf}/default/disable_ipv6 1`);
    expect(guest.sys.journal[bind + 1]).toBe(`write ${conf}/default/disable_ipv6 0`);
  });

  it('is left so for a pod without IPv6 address', async () => {
    await park();
    const before = switches().length;
    const params = { pod: podConfig({ interfaces: [eth0] }), container: containerConfig() };
    expect(await guest.request('start', params)).toMatchObject({ timeline: {} });
    expect(switches()).toHaveLength(before);
  });

  it('gets it for a pod with such an address', async () => {
    await park();
    const before = switches().length;
    const interfaces = [{ ...eth0, addresses: ['172.18.0.2/16', 'fd00::2/64'] }];
    const params = { pod: podConfig({ interfaces }), container: containerConfig() };
    expect(await guest.request('start', params)).toMatchObject({ timeline: {} });
    expect(switches().slice(before)).toEqual([`write ${conf}/eth0/disable_ipv6 0`]);
  });
});

describe('a parked guest', () => {
  it('finds its disks by serial, whatever name the kernel gives them now', async () => {
    await park();
    const rootfs = { ...containerConfig().rootfs, layers: ['layer-top', 'layer-base'] };

    await guest.request('start', { pod: podConfig(), container: containerConfig({ rootfs }) });

    // Before, layer-top was vdb and layer-base vda.
    expect(mountedDisks()).toEqual(['/dev/vda', '/dev/vdb', '/dev/vdc']);
    expect(guest.sys.files.read('/sys/class/block/vda/serial')).toBe('layer-top');
  });

  it('forgets under which name a disk was before it was parked', async () => {
    await rehearse();
    await park();
    const rootfs = { layers: ['layer-top'], writableDisk: 'disk-c2', readOnly: false };
    const container = containerConfig({ id: 'c2', rootfs });

    await guest.request('start', { pod: podConfig(), container });

    expect(guest.sys.virtio.names).toEqual(['vda', 'vdb']);
    expect(mountedDisks()).toEqual(['/dev/vda', '/dev/vdb']);
  });

  it('takes a pod again, with host name, clock and entropy of its own', async () => {
    await rehearse();
    await park();
    const pod = podConfig({ hostname: 'second', clockUnixMs: 2e12, entropy: 'bmV3' });
    const before = guest.sys.journal.length;

    const answer = await guest.request('start', { pod, container: containerConfig({ id: 'c2' }) });

    expect(answer).toMatchObject({ timeline: {} });
    expect(guest.sys.journal.slice(before, before + 3)).toEqual([
      'entropy bmV3',
      'clock 2000000000000',
      'hostname second',
    ]);
  });

  it('refuses a container without a pod, as after boot', async () => {
    await rehearse();
    await park();

    const answer = await guest.request('start', { pod: null, container: containerConfig() });

    expect(answer).toEqual({ code: 'INVALID_STATE', message: 'the pod is not configured yet' });
  });

  it('finds the NIC by its hardware address though a pod gave it another one', async () => {
    await rehearse();
    expect(guest.sys.nics.at(-1)).toMatchObject({ name: 'eth0', macAddress: given });
    await park();
    const later = { ...eth0, macAddress: '02:42:00:00:00:08' };
    const pod = podConfig({ interfaces: [later] });

    const answer = await guest.request('start', { pod, container: containerConfig({ id: 'c2' }) });

    expect(answer).toMatchObject({ timeline: {} });
    expect(guest.sys.nics.at(-1)).toMatchObject({ name: 'eth0', macAddress: '02:42:00:00:00:08' });
  });

  it('leaves a NIC and disks that nobody names without driver', async () => {
    guest.sys.plugNic(3, 'eth1', '02:00:00:00:00:02');
    await park();
    const pod = podConfig({ interfaces: [eth0] });

    await guest.request('start', { pod, container: containerConfig() });

    expect(guest.sys.virtio.names.toSorted()).toEqual(['eth0', 'vda', 'vdb', 'vdc']);
    expect(guest.sys.nics.map(({ name }) => name)).toEqual(['lo', 'eth0']);
  });

  it('shows no NIC to a pod without network, and one to the next pod', async () => {
    await park();
    await guest.request('start', { pod: podConfig(), container: containerConfig() });
    expect(guest.sys.nics.map(({ name }) => name)).toEqual(['lo']);
    guest.sys.endProcess(40);
    guest.drain(1, 2, 3);
    guest.sys.advance(1);
    await guest.request('release', { containerId: 'c1', execId: null });
    await park();

    const pod = podConfig({ interfaces: [eth0] });
    const answer = await guest.request('start', { pod, container: containerConfig({ id: 'c2' }) });

    expect(answer).toMatchObject({ timeline: {} });
    expect(guest.sys.nics.at(-1)).toMatchObject({ name: 'eth0', macAddress: given });
  });

  it('tells which disk did not come back', async () => {
    await park();
    const file = '/sys/bus/virtio/drivers/virtio_blk/bind';
    guest.sys.failures.set(`write ${file}`, new SysError(`write ${file}`, 'EIO', 'I/O error'));

    const params = { pod: podConfig(), container: containerConfig() };
    expect(await guest.request('start', params)).toEqual({
      code: 'INTERNAL',
      message: 'unparking layer-base: I/O error',
    });
  });

  it('sets the pod’s MAC address before the link goes up', async () => {
    await park();
    const before = guest.sys.journal.length;
    const pod = podConfig({ interfaces: [eth0] });

    await guest.request('start', { pod, container: containerConfig() });

    const ofNic = / 2 /;
    expect(guest.sys.journal.slice(before).filter((entry) => ofNic.test(entry))).toEqual([
      `mac 2 ${given}`,
      'up 2 1500',
      'address 2 172.18.0.2/16',
    ]);
  });
});
