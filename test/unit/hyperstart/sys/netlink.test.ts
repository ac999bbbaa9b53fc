import { describe, expect, it } from 'vitest';

import { Kernel } from '../../../../hyperstart/sys/kernel.ts';
import type { SystemCallArgument } from '../../../../hyperstart/sys/native.ts';
import { Netlink } from '../../../../hyperstart/sys/netlink.ts';
import { FakeNative } from '../../../support/fake-native.ts';

const hexOf = (buffer: SystemCallArgument | undefined): string =>
  Buffer.from(buffer as ArrayBuffer).toString('hex');

/** A netlink message with this type and payload. */
function message(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + payload.length, 0);
  header.writeUInt16LE(type, 4);
  return Buffer.concat([header, payload]);
}

function acknowledgement(errno: number): Buffer {
  const payload = Buffer.alloc(20);
  payload.writeInt32LE(-errno, 0);
  return message(2, payload);
}

function link(index: number, mac: string): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  const name = Buffer.from('0800030065746800', 'hex');
  const address = Buffer.from(`0a000100${mac.replaceAll(':', '')}0000`, 'hex');
  return message(16, Buffer.concat([header, name, address]));
}

/** A Netlink whose kernel answers each read with the next of these. */
function open(...answers: readonly Buffer[]): { netlink: Netlink; native: FakeNative } {
  const native = new FakeNative();
  const queue = [...answers];
  native.handlers.set('socket', () => 5);
  native.handlers.set('read', (_fd, buffer) => {
    const answer = queue.shift() ?? Buffer.alloc(0);
    new Uint8Array(buffer as ArrayBuffer).set(answer);
    return answer.length;
  });
  return { netlink: new Netlink(new Kernel(native)), native };
}

describe('Netlink', () => {
  it('finds an interface by its address in a dump of several parts', () => {
    const done = message(3, Buffer.alloc(4));
    const first = Buffer.concat([link(1, '00:00:00:00:00:00'), link(2, '02:42:ac:1d:00:02')]);
    const { netlink } = open(first, link(3, '02:42:ac:1d:00:03'), done);
    expect(netlink.indexByMacAddress('02:42:AC:1D:00:03')).toBe(3);
  });

  it('answers null for an address that no interface has', () => {
    const { netlink } = open(link(2, '02:42:ac:1d:00:02'), message(3, Buffer.alloc(4)));
    expect(netlink.indexByMacAddress('02:00:00:00:00:01')).toBeNull();
  });

  it('brings an interface up with its MTU', () => {
    const { netlink, native } = open(acknowledgement(0));
    netlink.setUp(2, 1400);
    expect(hexOf(native.argumentsOf('sendto')[0]?.[1])).toBe(
      // Header: RTM_NEWLINK with an acknowledgement; ifinfomsg of index 2, flag UP; IFLA_MTU.
      '28000000' +
        '1000' +
        '0500' +
        '0000000000000000' +
        '00000000' +
        '02000000' +
        '0100000001000000' +
        '08000400' +
        '78050000',
    );
  });

  it('renames an interface', () => {
    const { netlink, native } = open(acknowledgement(0));
    netlink.rename(3, 'eth0');
    expect(hexOf(native.argumentsOf('sendto')[0]?.[1])).toMatch(
      /0300000000000000000000000900030065746830000{6}$/,
    );
  });

  it('adds an IPv4 address, and an IPv6 address without waiting for duplicates', () => {
    const { netlink, native } = open(acknowledgement(0), acknowledgement(0));
    netlink.addAddress(2, '10.0.0.2/24');
    netlink.addAddress(2, 'fd00::2/64');
    const [ipv4, ipv6] = native.argumentsOf('sendto').map((args) => hexOf(args[1]).slice(32));
    expect(ipv4).toBe('02180000' + '02000000' + '08000200' + '0a000002' + '08000100' + '0a000002');
    expect(ipv6?.slice(0, 16)).toBe('0a400200' + '02000000');
    expect(ipv6).toContain('14000200' + 'fd000000000000000000000000000002');
  });

  it('adds a default route without a destination, and others with one', () => {
    const { netlink, native } = open(acknowledgement(0), acknowledgement(0));
    netlink.addRoute('0.0.0.0/0', '10.0.0.1', 2);
    netlink.addRoute('192.168.0.0/16', '10.0.0.9', 2);
    const [first, second] = native.argumentsOf('sendto').map((args) => hexOf(args[1]).slice(32));
    expect(first).toBe(
      '02000000fe03000100000000' + '08000500' + '0a000001' + '08000400' + '02000000',
    );
    expect(second).toBe(
      '02100000fe03000100000000' +
        '08000100' +
        'c0a80000' +
        '08000500' +
        '0a000009' +
        '08000400' +
        '02000000',
    );
  });

  it('uses one socket, and tells what the kernel refused by name', () => {
    const EEXIST = 17;
    const { netlink, native } = open(acknowledgement(0), acknowledgement(EEXIST));
    netlink.setUp(2, 1500);
    expect(() => {
      netlink.addAddress(2, '10.0.0.2/24');
    }).toThrow(
      expect.objectContaining({ errno: 'EEXIST', message: 'add address 10.0.0.2/24: File exists' }),
    );
    expect(native.argumentsOf('socket')).toHaveLength(1);
  });
});
