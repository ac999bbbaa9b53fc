import { HyperError } from '../base/error.ts';

/** An IPv4 network in CIDR notation, as numbers. */
export interface Ipv4Network {
  readonly base: number;
  readonly prefixLength: number;
}

/** Parses `a.b.c.d`; null when it is no such address. */
export function parseIpv4(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return null;
  const bytes = parts.map(Number);
  if (bytes.some((byte) => byte > 255)) return null;
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => String((address >>> shift) & 255)).join('.');
}

/** Parses `a.b.c.d/n` with n from 8 to 29. Throws INVALID_ARGUMENT, naming `field`. */
export function parseNetwork(text: string, field: string): Ipv4Network {
  const [address = '', prefix = ''] = text.split('/');
  const value = parseIpv4(address);
  const prefixLength = /^\d{1,2}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (value === null || !(prefixLength >= 8 && prefixLength <= 29)) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `${field}: "${text}" is not an IPv4 network such as 172.29.0.0/16 (prefix 8 to 29)`,
    );
  }
  return { base: maskOf(value, prefixLength), prefixLength };
}

export function formatNetwork(network: Ipv4Network): string {
  return `${formatIpv4(network.base)}/${String(network.prefixLength)}`;
}

/** Number of addresses in a network. */
export function sizeOf(network: Ipv4Network): number {
  return 2 ** (32 - network.prefixLength);
}

export function overlaps(a: Ipv4Network, b: Ipv4Network): boolean {
  const prefixLength = Math.min(a.prefixLength, b.prefixLength);
  return maskOf(a.base, prefixLength) === maskOf(b.base, prefixLength);
}

/** MAC address derived from an IPv4 address as Docker does: unique on its bridge, stable for ARP. */
export function macAddressOf(address: number): string {
  const bytes = [0x02, 0x42, ...[24, 16, 8, 0].map((shift) => (address >>> shift) & 255)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function maskOf(address: number, prefixLength: number): number {
  const hostSize = 2 ** (32 - prefixLength);
  return Math.floor(address / hostSize) * hostSize;
}
