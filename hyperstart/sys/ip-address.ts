import { SysError } from './sys.ts';

export interface Address {
  /** 4 or 16, in network order. */
  readonly bytes: readonly number[];
  readonly prefixLength: number;
}

/** `10.0.0.1/24` or `fd00::1/64`; throws SysError EINVAL for anything else. */
export function parseCidr(cidr: string): Address {
  const [text = '', prefix = '', ...rest] = cidr.split('/');
  const bytes = parseAddress(text);
  const prefixLength = Number(prefix);
  if (!/^\d{1,3}$/.test(prefix) || rest.length > 0 || prefixLength > bytes.length * 8) {
    throw invalid(cidr);
  }
  return { bytes, prefixLength };
}

/** IPv4 or IPv6 address as bytes in network order; throws SysError EINVAL for anything else. */
export function parseAddress(text: string): readonly number[] {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text, text);
}

function parseIpv4(text: string, whole: string): readonly number[] {
  const words = text.split('.');
  const bytes = words.map(Number);
  const isValid =
    words.length === 4 &&
    words.every((word) => /^\d{1,3}$/.test(word)) &&
    bytes.every((byte) => byte <= 255);
  if (!isValid) {
    throw invalid(whole);
  }
  return bytes;
}

function parseIpv6(text: string): readonly number[] {
  const [head = '', tail, ...rest] = text.split('::');
  // An IPv4 address can only be the end.
  if (rest.length > 0 || (tail !== undefined && head.includes('.'))) {
    throw invalid(text);
  }
  const front = groups(head, text);
  if (tail === undefined) {
    if (front.length !== 16) {
      throw invalid(text);
    }
    return front;
  }
  const back = groups(tail, text);
  const gap = 16 - front.length - back.length;
  if (gap < 2) {
    throw invalid(text);
  }
  return [...front, ...new Array<number>(gap).fill(0), ...back];
}

/** The bytes of colon-separated groups; the last may be an IPv4 address. */
function groups(text: string, whole: string): readonly number[] {
  if (text === '') {
    return [];
  }
  const words = text.split(':');
  return words.flatMap((word, index) => {
    if (word.includes('.') && index === words.length - 1) {
      return parseIpv4(word, whole);
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(word)) {
      throw invalid(whole);
    }
    const value = parseInt(word, 16);
    return [value >> 8, value & 0xff];
  });
}

function invalid(text: string): SysError {
  return new SysError('parse an IP address', 'EINVAL', `'${text}' is not one`);
}
