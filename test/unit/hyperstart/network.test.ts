import { beforeEach, describe, expect, it } from 'vitest';

import type { PodConfig } from '../../../hyperstart/protocol/message.ts';
import { SysError } from '../../../hyperstart/sys/sys.ts';
import { containerConfig, GuestBench, podConfig } from '../../support/guest-bench.ts';

const interfaces = [
  {
    name: 'eth0',
    macAddress: '02:42:00:00:00:01',
    deviceMacAddress: '02:42:00:00:00:01',
    mtu: 1500,
    addresses: ['172.18.0.2/16', 'fd00::2/64'],
  },
  {
    name: 'eth1',
    macAddress: '02:42:00:00:00:02',
    deviceMacAddress: '02:42:00:00:00:02',
    mtu: 1400,
    addresses: [],
  },
] as const;
const routes = [
  { destination: '0.0.0.0/0', gateway: '172.18.0.1', interfaceName: 'eth0' },
] as const;

let guest: GuestBench;
beforeEach(() => {
  guest = new GuestBench();
  guest.connect();
});

const start = (pod: Partial<PodConfig>) =>
  guest.send('start', { pod: podConfig(pod), container: containerConfig() });

describe('the network of the pod', () => {
  it('is configured by MAC address: name, link, addresses, then routes', async () => {
    guest.sys.plugNic(2, 'enp0s1', '02:42:00:00:00:01');
    guest.sys.plugNic(3, 'enp0s2', '02:42:00:00:00:02');
    const before = guest.sys.journal.length;
    await guest.answer(start({ interfaces, routes }));
    const ofNetwork = /^(rename|up|address|route) /;
    expect(guest.sys.journal.slice(before).filter((entry) => ofNetwork.test(entry))).toEqual([
      'up 1 65536',
      'rename 2 eth0',
      'up 2 1500',
      'address 2 172.18.0.2/16',
      'address 2 fd00::2/64',
      'rename 3 eth1',
      'up 3 1400',
      'route 0.0.0.0/0 172.18.0.1 2',
    ]);
  });

  it('has IPv6 on the interfaces that have an address of it, as with Docker', async () => {
    guest.sys.plugNic(2, 'eth0', '02:42:00:00:00:01');
    guest.sys.plugNic(3, 'eth1', '02:42:00:00:00:02');
    await guest.answer(start({ interfaces }));
    const switches = guest.sys.journal.filter((entry) => entry.includes('disable_ipv6'));
    expect(switches).toEqual(['write /proc/sys/net/ipv6/conf/eth1/disable_ipv6 1']);
  });

  it('needs no IPv6 of the kernel', async () => {
    guest.sys.plugNic(2, 'eth0', '02:42:00:00:00:01');
    guest.sys.plugNic(3, 'eth1', '02:42:00:00:00:02');
    const file = '/proc/sys/net/ipv6/conf/eth1/disable_ipv6';
    guest.sys.failures.set(`write ${file}`, new SysError(`write ${file}`, 'ENOENT', 'none'));
    const answer = await guest.answer(start({ interfaces }));
    expect(answer).toMatchObject({ timeline: {} });
  });

  it('swaps names that the kernel gave the other way round', async () => {
    guest.sys.plugNic(2, 'eth1', '02:42:00:00:00:01');
    guest.sys.plugNic(3, 'eth0', '02:42:00:00:00:02');
    await guest.answer(start({ interfaces }));
    expect(guest.sys.nics.map((nic) => [nic.index, nic.name])).toEqual([
      [1, 'lo'],
      [2, 'eth0'],
      [3, 'eth1'],
    ]);
  });

  it('renames nothing that has its name already', async () => {
    guest.sys.plugNic(2, 'eth0', '02:42:00:00:00:01');
    await guest.answer(start({ interfaces: [interfaces[0]] }));
    expect(guest.sys.journal.filter((line) => line.startsWith('rename'))).toEqual([]);
  });

  it('waits for a NIC that is not there yet', async () => {
    const id = start({ interfaces: [interfaces[0]] });
    expect(await guest.answer(id)).toBeUndefined();
    guest.sys.plugNic(5, 'enp3', '02:42:00:00:00:01');
    expect(await guest.answer(id)).toMatchObject({ pid: 40 });
  });

  it('names the NIC that never comes', async () => {
    const id = start({ interfaces: [interfaces[0]] });
    await guest.answer(id);
    guest.sys.advance(10_000);
    expect(await guest.answer(id)).toEqual({
      code: 'NOT_FOUND',
      message: 'network interface eth0 (02:42:00:00:00:01) did not appear within 10 s',
    });
  });

  it('refuses a route by an interface that it does not have', async () => {
    expect(await guest.answer(start({ routes }))).toEqual({
      code: 'INVALID_ARGUMENT',
      message: 'route to 0.0.0.0/0 names the unknown interface eth0',
    });
  });
});
