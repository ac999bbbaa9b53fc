import { AF_INET, AF_INET6, AF_NETLINK, NETLINK_ROUTE, O_CLOEXEC, SOCK_RAW } from './constants.ts';
import { type Address, parseAddress, parseCidr } from './ip-address.ts';
import { type Kernel, struct } from './kernel.ts';
import type { NetworkSys } from './sys.ts';

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NLM_F_DUMP = 0x300;
const IFF_UP = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_NODAD = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;

const headerBytes = 16;
const linkHeaderBytes = 16;
const receiveBytes = 32 * 1024;

/** A netlink attribute: type and payload. */
type Attribute = readonly [type: number, payload: readonly number[]];

interface Message {
  readonly type: number;
  readonly flags: number;
  /** The family's fixed header. */
  readonly header: readonly number[];
  readonly attributes: readonly Attribute[];
}

/** rtnetlink, one request at a time: sent, then its acknowledgement awaited. */
export class Netlink implements NetworkSys {
  readonly #kernel: Kernel;
  #socket = -1;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  indexByMacAddress(macAddress: string): number | null {
    const wanted = macAddress.toLowerCase();
    let found: number | null = null;
    const dump = { type: RTM_GETLINK, flags: NLM_F_DUMP, header: linkHeader(0, 0), attributes: [] };
    this.#request('list the interfaces', dump, (view, start, end) => {
      if (linkAddress(view, start + linkHeaderBytes, end) === wanted) {
        found ??= view.getInt32(start + 4, true);
      }
    });
    return found;
  }

  rename(index: number, name: string): void {
    const bytes = Array.from(name, (character) => character.charCodeAt(0) & 0x7f);
    this.#changeLink(`rename interface ${String(index)} to ${name}`, linkHeader(index, 0), [
      [IFLA_IFNAME, [...bytes, 0]],
    ]);
  }

  setMacAddress(index: number, macAddress: string): void {
    const bytes = macAddress.split(':').map((byte) => Number.parseInt(byte, 16) & 0xff);
    this.#changeLink(`set the address of interface ${String(index)}`, linkHeader(index, 0), [
      [IFLA_ADDRESS, bytes],
    ]);
  }

  setUp(index: number, mtu: number): void {
    this.#changeLink(`bring up interface ${String(index)}`, linkHeader(index, IFF_UP), [
      [IFLA_MTU, uint32(mtu)],
    ]);
  }

  addAddress(index: number, cidr: string): void {
    const address = parseCidr(cidr);
    const flags = address.bytes.length === 16 ? IFA_F_NODAD : 0;
    this.#request(`add address ${cidr}`, {
      type: RTM_NEWADDR,
      flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
      header: [family(address), address.prefixLength, flags, 0, ...uint32(index)],
      attributes: [
        [IFA_LOCAL, address.bytes],
        [IFA_ADDRESS, address.bytes],
      ],
    });
  }

  addRoute(destination: string, gateway: string, index: number): void {
    const target = parseCidr(destination);
    const { prefixLength } = target;
    const fixed = [family(target), prefixLength, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST];
    const destinationAttribute: readonly Attribute[] =
      prefixLength === 0 ? [] : [[RTA_DST, target.bytes]];
    this.#request(`add route to ${destination} by ${gateway}`, {
      type: RTM_NEWROUTE,
      flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
      header: [...fixed, 0, 0, 0, 0],
      attributes: [
        ...destinationAttribute,
        [RTA_GATEWAY, parseAddress(gateway)],
        [RTA_OIF, uint32(index)],
      ],
    });
  }

  #changeLink(operation: string, header: readonly number[], attributes: Attribute[]): void {
    this.#request(operation, { type: RTM_NEWLINK, flags: NLM_F_ACK, header, attributes });
  }

  /** `onPart` gets each answer that is neither an acknowledgement nor the end: its payload's bounds. */
  #request(
    operation: string,
    message: Message,
    onPart: (view: DataView, start: number, end: number) => void = () => undefined,
  ): void {
    if (this.#socket < 0) {
      const type = SOCK_RAW | O_CLOEXEC;
      this.#socket = this.#kernel.call(operation, 'socket', AF_NETLINK, type, NETLINK_ROUTE);
    }
    const bytes = encode(message);
    const length = bytes.byteLength;
    this.#kernel.call(operation, 'sendto', this.#socket, bytes, length, 0, null, 0);
    const buffer = new ArrayBuffer(receiveBytes);
    const view = new DataView(buffer);
    for (;;) {
      const got = this.#kernel.call(operation, 'read', this.#socket, buffer, receiveBytes);
      for (let at = 0; at + headerBytes <= got; at += align(view.getUint32(at, true))) {
        const type = view.getUint16(at + 4, true);
        if (type === NLMSG_DONE) {
          return;
        }
        if (type === NLMSG_ERROR) {
          this.#kernel.check(operation, view.getInt32(at + headerBytes, true));
          return;
        }
        onPart(view, at + headerBytes, at + view.getUint32(at, true));
      }
    }
  }
}

function family(address: Address): number {
  return address.bytes.length === 4 ? AF_INET : AF_INET6;
}

/** struct ifinfomsg; `flags` are both the new flags and the mask of those that change. */
function linkHeader(index: number, flags: number): readonly number[] {
  return [0, 0, 0, 0, ...uint32(index), ...uint32(flags), ...uint32(flags)];
}

function encode(message: Message): ArrayBuffer {
  const body = [...message.header];
  for (const [type, payload] of message.attributes) {
    const length = 4 + payload.length;
    body.push(length & 0xff, length >> 8, type, 0, ...payload);
    while (body.length % 4 !== 0) {
      body.push(0);
    }
  }
  const length = headerBytes + body.length;
  const bytes = struct(length, (view) => {
    view.setUint32(0, length, true);
    view.setUint16(4, message.type, true);
    view.setUint16(6, NLM_F_REQUEST | message.flags, true);
  });
  new Uint8Array(bytes).set(body, headerBytes);
  return bytes;
}

/** The IFLA_ADDRESS among the attributes, as `aa:bb:cc:dd:ee:ff`. */
function linkAddress(view: DataView, start: number, end: number): string | null {
  let at = start;
  while (at + 4 <= end) {
    const length = view.getUint16(at, true);
    if (length < 4) {
      return null;
    }
    if (view.getUint16(at + 2, true) === IFLA_ADDRESS) {
      const bytes = new Uint8Array(view.buffer, at + 4, length - 4);
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
    }
    at += align(length);
  }
  return null;
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function uint32(value: number): readonly number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}
