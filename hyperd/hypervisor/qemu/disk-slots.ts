import type { Disk } from '../driver.ts';
import { blockNode, diskAddress, diskFrontEnd, nodeName } from './command-line.ts';
import type { QmpClient } from './qmp-client.ts';

/** Disks that a template has, all of them empty. */
export const diskSlots = { readOnly: 16, writable: 1 } as const;

interface Slot {
  /** Its serial, too. */
  readonly name: string;
  readonly readOnly: boolean;
}

const slots: readonly Slot[] = [
  ...Array.from({ length: diskSlots.readOnly }, (_, index) => ({
    name: `r${String(index)}`,
    readOnly: true,
  })),
  ...Array.from({ length: diskSlots.writable }, (_, index) => ({
    name: `w${String(index)}`,
    readOnly: false,
  })),
];

/** Arguments that give a VM its empty disks. The guest sees them without a driver until they are used. */
export function slotArguments(): readonly string[] {
  return slots.flatMap((slot, index) => [
    '-blockdev',
    JSON.stringify({
      driver: 'null-co',
      'node-name': emptyNode(slot),
      size: 0,
      'read-only': slot.readOnly,
    }),
    '-device',
    JSON.stringify({
      ...diskFrontEnd,
      ...diskAddress(index),
      id: deviceOf(slot),
      serial: slot.name,
      drive: emptyNode(slot),
      // Guest memory: an idle queue of the usual 256 entries takes as much as the rest of the disk.
      'num-queues': 1,
      'queue-size': 128,
    }),
  ]);
}

/**
 * The disk slots of a VM that comes from a template. What is behind a slot is exchanged while the guest
 * has no driver on it, so that the driver finds the new disk as if it had always been there: much
 * quicker than hot-plug, by which the guest's ACPI code has to find a new device.
 */
export class DiskSlots {
  readonly #qmp: Pick<QmpClient, 'execute'>;
  /** Null until QEMU was asked. Disks are plugged several at once: they ask once, and share the answer. */
  #occupancy: Promise<Occupancy> | null = null;

  constructor(qmp: Pick<QmpClient, 'execute'>) {
    this.#qmp = qmp;
  }

  /** The serial of the slot that took the disk; null when no slot is free, or the VM has none. */
  async plug(disk: Disk): Promise<string | null> {
    const { hasSlots, taken } = await this.#look();
    const slot = slots.find(({ name, readOnly }) => readOnly === disk.readOnly && !taken.has(name));
    if (!hasSlots || slot === undefined) return null;
    taken.set(slot.name, disk.id);
    const steps = await Promise.allSettled([
      this.#qmp.execute('blockdev-add', blockNode(disk)),
      this.#fill(slot, nodeName(disk.id)),
    ]);
    const failed = steps.find((step) => step.status === 'rejected');
    if (failed === undefined) return slot.name;
    // What of it was done is undone; the other step fails there as it has failed here.
    await this.#fill(slot, emptyNode(slot)).catch(() => undefined);
    if (steps[0].status === 'fulfilled') await this.#removeNode(disk.id).catch(() => undefined);
    taken.delete(slot.name);
    throw failed.reason;
  }

  /** False when no slot has this disk. The guest must not use it any more. */
  async unplug(diskId: string): Promise<boolean> {
    const { taken } = await this.#look();
    const slot = slots.find(({ name }) => taken.get(name) === diskId);
    if (slot === undefined) return false;
    await this.#fill(slot, emptyNode(slot));
    await this.#removeNode(diskId);
    taken.delete(slot.name);
    return true;
  }

  async #removeNode(diskId: string): Promise<void> {
    await this.#qmp.execute('blockdev-del', { 'node-name': nodeName(diskId) });
  }

  async #fill(slot: Slot, node: string): Promise<void> {
    const path = `/machine/peripheral/${deviceOf(slot)}`;
    await this.#qmp.execute('qom-set', { path, property: 'drive', value: node });
  }

  /** QEMU itself knows what is where: an adopted VM is no special case. */
  #look(): Promise<Occupancy> {
    this.#occupancy ??= this.#ask().catch((thrown: unknown) => {
      this.#occupancy = null;
      throw thrown;
    });
    return this.#occupancy;
  }

  async #ask(): Promise<Occupancy> {
    const taken = new Map<string, string>();
    let hasSlots = false;
    const blocks = await this.#qmp.execute('query-block');
    for (const block of Array.isArray(blocks) ? (blocks as readonly BlockInfo[]) : []) {
      const slot = slots.find((each) => block.qdev?.includes(`/${deviceOf(each)}/`));
      if (slot === undefined) continue;
      hasSlots = true;
      const node = block.inserted?.['node-name'] ?? '';
      if (node.startsWith('node-')) taken.set(slot.name, node.slice('node-'.length));
    }
    return { hasSlots, taken };
  }
}

interface Occupancy {
  readonly hasSlots: boolean;
  /** Disk id by slot name. */
  readonly taken: Map<string, string>;
}

/** Of QEMU's `BlockInfo` what we read. */
interface BlockInfo {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name'?: string };
}

function deviceOf(slot: Slot): string {
  return `slot-${slot.name}`;
}

function emptyNode(slot: Slot): string {
  return `empty-${slot.name}`;
}
