import { isErrno } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

/** Switches IPv6 for an interface, or for those to come: `default`. */
export function switchIpv6(sys: Sys, name: string, isOn: boolean): void {
  try {
    sys.writeFile(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, isOn ? '0' : '1');
  } catch (error) {
    // A kernel without IPv6: where an address needs it, adding that address tells.
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
