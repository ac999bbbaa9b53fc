import type { Disk } from '../hypervisor/driver.ts';
import type { PodContext } from './context.ts';
import type { MachineRootfs } from './pod-machine.ts';
import type { VmRequest } from './vm-request.ts';

/** Names of the disks towards the hypervisor; a booted VM's guest finds them by these, too. */
function layerDiskId(diffId: string): string {
  return `l${diffId.replace(/^sha256:/, '').slice(0, 16)}`;
}

function writableDiskId(containerId: string): string {
  return `w${containerId.slice(0, 16)}`;
}

/** The disks of a pod: its layers, and the one that its container writes to. */
export function disksOf(context: PodContext, { containerId, layers }: VmRequest): readonly Disk[] {
  // An image may list one layer twice; the disk is there once.
  const unique = new Map(layers.map((layer) => [layerDiskId(layer.diffId), layer.path]));
  const writable: Disk = {
    kind: 'disk',
    id: writableDiskId(containerId),
    path: context.paths.writableDisk(containerId),
    readOnly: false,
  };
  const readOnly = [...unique].map(([id, path]): Disk => ({
    kind: 'disk',
    id,
    path,
    readOnly: true,
  }));
  return [...readOnly, writable];
}

/** How the guest finds them. */
export function rootfsOf(
  { layers, containerId }: VmRequest,
  guestNames: ReadonlyMap<string, string>,
): MachineRootfs {
  const nameOf = (id: string): string => guestNames.get(id) ?? id;
  return {
    layers: layers.map(({ diffId }) => nameOf(layerDiskId(diffId))),
    writableDisk: nameOf(writableDiskId(containerId)),
  };
}
