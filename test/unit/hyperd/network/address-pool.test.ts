import { describe, expect, it } from 'vitest';

import { AddressPool } from '../../../../hyperd/network/address-pool.ts';
import {
  formatIpv4,
  formatNetwork,
  macAddressOf,
  overlaps,
  parseIpv4,
  parseNetwork,
} from '../../../../hyperd/network/ipv4.ts';

describe('AddressPool', () => {
  const open = () => new AddressPool(parseNetwork('10.0.0.0/29', 'subnet'));

  it('gives out every address but gateway, network and broadcast, then says that none is left', () => {
    const pool = open();
    expect(pool.free).toBe(5);
    const given = Array.from({ length: 5 }, () => formatIpv4(pool.allocate()));
    expect(pool.free).toBe(0);
    expect(given).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
    expect(() => pool.allocate()).toThrow('no free address left in 10.0.0.0/29');
  });

  it('does not give out an address again right after its release', () => {
    const pool = open();
    const first = pool.allocate();
    pool.release(first);
    expect(pool.allocate()).not.toBe(first);
  });

  it('reserves the address of an adopted pod once, and only its own addresses', () => {
    const pool = open();
    pool.reserve(parseIpv4('10.0.0.2')!);
    expect(formatIpv4(pool.allocate())).toBe('10.0.0.3');
    expect(() => {
      pool.reserve(parseIpv4('10.0.0.2')!);
    }).toThrow('in use already');
    expect(() => {
      pool.reserve(parseIpv4('10.0.1.2')!);
    }).toThrow('not in 10.0.0.0/29');
  });
});

describe('IPv4 notation', () => {
  it.each(['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', 'a.b.c.d'])('refuses %j', (text) => {
    expect(parseIpv4(text)).toBeNull();
  });

  it('masks host bits and names the field of a bad network', () => {
    expect(formatNetwork(parseNetwork('172.29.5.1/16', 'subnet'))).toBe('172.29.0.0/16');
    expect(() => parseNetwork('172.29.0.0/31', 'bridge.subnet')).toThrow(
      'bridge.subnet: "172.29.0.0/31"',
    );
  });

  it('finds networks that overlap in either order', () => {
    const wide = parseNetwork('10.0.0.0/8', 'a');
    const narrow = parseNetwork('10.9.0.0/16', 'b');
    expect([overlaps(wide, narrow), overlaps(narrow, wide)]).toEqual([true, true]);
    expect(overlaps(narrow, parseNetwork('10.10.0.0/16', 'c'))).toBe(false);
  });

  it('derives the MAC address from the IPv4 address', () => {
    expect(macAddressOf(parseIpv4('172.29.0.2')!)).toBe('02:42:ac:1d:00:02');
  });
});
