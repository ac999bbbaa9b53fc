import type { DeviceRule } from '../../../hyperstart/protocol/message.ts';

/** Docker's and runc's: any device may be made, these may be used. */
const defaultRules: readonly DeviceRule[] = [
  { type: 'character', major: null, minor: null, access: 'm' },
  { type: 'block', major: null, minor: null, access: 'm' },
  // null, zero, full, random, urandom
  ...[3, 5, 7, 8, 9].map((minor) => usable(1, minor)),
  // tty, console, ptmx
  ...[0, 1, 2].map((minor) => usable(5, minor)),
  // Terminals.
  usable(136, null),
  // net/tun
  usable(10, 200),
];

const everything: readonly DeviceRule[] = [
  { type: 'all', major: null, minor: null, access: 'rwm' },
];

/** What a container may do with devices, whichever nodes it has or makes. */
export function deviceRules(privileged: boolean): readonly DeviceRule[] {
  return privileged ? everything : defaultRules;
}

function usable(major: number, minor: number | null): DeviceRule {
  return { type: 'character', major, minor, access: 'rwm' };
}
