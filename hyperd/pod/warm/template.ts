import type { Nic, TemplateFiles, TemplateShape } from '../../hypervisor/driver.ts';
import type { PreparedTap } from '../../network/network-manager.ts';

/** A saved VM that clones can begin from. */
export interface Template {
  readonly shape: TemplateShape;
  readonly files: TemplateFiles;
  readonly madeUnixMs: number;
}

/** What all clones have for a MAC address until their pod gives them their own. */
export const blankMacAddress = '02:00:00:00:00:01';

/** The NIC of a VM without a pod. */
export function blankNic(tap: PreparedTap): Nic {
  return { kind: 'nic', id: 'eth0', tapName: tap.tapName, macAddress: blankMacAddress };
}

/** The same text for the same shape. */
export function shapeName({ memoryMiB, vcpus, hasNic }: TemplateShape): string {
  return `${String(memoryMiB)}m-${String(vcpus)}cpu${hasNic ? '' : '-no-nic'}`;
}
