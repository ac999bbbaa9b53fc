import { isIPv4, isIPv6 } from 'node:net';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseAddress, parseCidr } from '../../../../hyperstart/sys/ip-address.ts';

describe('parseAddress', () => {
  it.each([
    ['10.0.0.1', [10, 0, 0, 1]],
    ['255.255.255.255', [255, 255, 255, 255]],
    ['::', new Array(16).fill(0)],
    ['::1', [...new Array<number>(15).fill(0), 1]],
    ['fd00::', [0xfd, ...new Array<number>(15).fill(0)]],
    ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ['2001:DB8::a:b', [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 11]],
    ['::ffff:192.0.2.1', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]],
  ])('reads %s', (text, bytes) => {
    expect(parseAddress(text)).toEqual(bytes);
  });

  it.each(['', '10.0.0', '10.0.0.256', '10.0.0.1.2', ' 10.0.0.1', '1e1.0.0.1', 'localhost'])(
    'refuses %j',
    (text) => {
      expect(() => parseAddress(text)).toThrow('is not one');
    },
  );

  it.each([
    ':',
    ':::',
    '1::2::3',
    '1:2:3',
    '12345::',
    '::g',
    '1:2:3:4:5:6:7:8:9',
    '::1.2.3',
    '1.2.3.4::',
  ])('refuses %j', (text) => {
    expect(() => parseAddress(text)).toThrow('is not one');
  });

  it('takes every address that Node takes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        fc.pre(isIPv4(text) || isIPv6(text));
        expect(parseAddress(text)).toHaveLength(isIPv4(text) ? 4 : 16);
      }),
    );
  });
});

describe('parseCidr', () => {
  it('reads an address with its prefix', () => {
    expect(parseCidr('10.1.2.3/24')).toEqual({ bytes: [10, 1, 2, 3], prefixLength: 24 });
    expect(parseCidr('::/0').prefixLength).toBe(0);
    expect(parseCidr('::1/128').prefixLength).toBe(128);
  });

  it.each(['10.0.0.1', '10.0.0.1/', '10.0.0.1/33', '10.0.0.1/-1', '10.0.0.1/8/8', '::/129', '/8'])(
    'refuses %j',
    (text) => {
      expect(() => parseCidr(text)).toThrow('is not one');
    },
  );
});
