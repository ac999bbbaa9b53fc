import { beforeEach, describe, expect, it } from 'vitest';

import { HyperError } from '../../../../../hyperd/base/error.ts';
import type { Disk } from '../../../../../hyperd/hypervisor/driver.ts';
import {
  diskSlots,
  DiskSlots,
  slotArguments,
} from '../../../../../hyperd/hypervisor/qemu/disk-slots.ts';

/** QEMU's block layer, as far as slots go: nodes, and which of them is behind a device. */
class BlockLayer {
  readonly commands: string[] = [];
  readonly nodes = new Set<string>();
  /** Node by device. */
  readonly drives = new Map<string, string>();
  /** Fails the next command of this name. */
  failing = '';

  constructor(args: readonly string[]) {
    for (const [at, option] of args.entries()) {
      const value = JSON.parse(args[at + 1]?.startsWith('{') ? args[at + 1]! : '{}') as Words;
      if (option === '-blockdev') this.nodes.add(value['node-name']!);
      if (option === '-device') this.drives.set(value['id']!, value['drive']!);
    }
  }

  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    this.commands.push(command);
    // Taken in the order in which they come, answered later.
    try {
      const result = this.#run(command, args as Words);
      return new Promise((resolve) => {
        setImmediate(resolve, result);
      });
    } catch (thrown) {
      return new Promise((_resolve, reject) => {
        setImmediate(reject, thrown);
      });
    }
  }

  #run(command: string, args: Words): unknown {
    if (this.failing === command) {
      this.failing = '';
      throw new HyperError('INTERNAL', `QEMU: ${command}: planned`);
    }
    const node = args['node-name'] ?? '';
    switch (command) {
      case 'query-block':
        return [...this.drives].map(([device, name]) => ({
          qdev: `/machine/peripheral/${device}/virtio-backend`,
          inserted: { 'node-name': name },
        }));
      case 'blockdev-add':
        if (this.nodes.has(node)) throw new HyperError('INTERNAL', 'Duplicate nodes');
        return this.nodes.add(node);
      case 'blockdev-del':
        if (!this.nodes.has(node)) throw new HyperError('INTERNAL', 'Failed to find node');
        if ([...this.drives.values()].includes(node)) throw new HyperError('INTERNAL', 'in use');
        return this.nodes.delete(node);
      case 'qom-set':
        if (!this.nodes.has(args['value']!)) throw new HyperError('INTERNAL', "Can't find drive");
        return this.drives.set(args['path']!.replace('/machine/peripheral/', ''), args['value']!);
      default:
        throw new Error(`unexpected: ${command}`);
    }
  }
}

type Words = Readonly<Record<string, string>>;

function disk(id: string, readOnly = true): Disk {
  return { kind: 'disk', id, path: `/disks/${id}`, readOnly };
}

let qemu: BlockLayer;
let slots: DiskSlots;
beforeEach(() => {
  qemu = new BlockLayer(slotArguments());
  slots = new DiskSlots(qemu);
});

describe('slotArguments', () => {
  it('give a VM an empty disk for each slot, each at a place and with a serial of its own', () => {
    const devices = slotArguments()
      .filter((_, index, all) => all[index - 1] === '-device')
      .map((text) => JSON.parse(text) as Words);
    const count = diskSlots.readOnly + diskSlots.writable;
    expect(devices).toHaveLength(count);
    for (const name of ['addr', 'serial', 'id', 'drive']) {
      expect(new Set(devices.map((device) => device[name])).size).toBe(count);
    }
    expect(qemu.drives.get('slot-r0')).toBe('empty-r0');
    expect(qemu.nodes).toContain('empty-w0');
  });
});

describe('plugging', () => {
  it('takes the first free slot of the disk’s kind', async () => {
    expect(await slots.plug(disk('a'))).toBe('r0');
    expect(await slots.plug(disk('b', false))).toBe('w0');
    expect(await slots.plug(disk('c'))).toBe('r1');
    expect(qemu.drives.get('slot-r1')).toBe('node-c');
    expect(qemu.drives.get('slot-w0')).toBe('node-b');
  });

  it('of several at once gives each a slot of its own', async () => {
    const ids = ['a', 'b', 'c'];

    const names = await Promise.all(ids.map((id) => slots.plug(disk(id))));

    expect(names).toEqual(['r0', 'r1', 'r2']);
    expect(names.map((name) => qemu.drives.get(`slot-${String(name)}`))).toEqual([
      'node-a',
      'node-b',
      'node-c',
    ]);
    expect(qemu.commands.filter((command) => command === 'query-block')).toHaveLength(1);
  });

  it('finds no slot when all of the kind are taken', async () => {
    await slots.plug(disk('w', false));
    expect(await slots.plug(disk('x', false))).toBeNull();
    expect(qemu.nodes).not.toContain('node-x');
  });

  it('finds no slot in a VM that was booted', async () => {
    qemu.drives.clear();
    qemu.drives.set('disk-a', 'node-a');
    expect(await slots.plug(disk('b'))).toBeNull();
    expect(qemu.commands).toEqual(['query-block']);
  });

  it.each(['blockdev-add', 'qom-set'])(
    'that fails at %s leaves the slot empty and free, and no node',
    async (command) => {
      await slots.plug(disk('a'));
      qemu.failing = command;

      await expect(slots.plug(disk('b'))).rejects.toThrow();

      expect(qemu.drives.get('slot-r1')).toBe('empty-r1');
      expect(qemu.nodes).not.toContain('node-b');
      expect(await slots.plug(disk('b'))).toBe('r1');
    },
  );

  it('of a disk that is there already fails and leaves that one alone', async () => {
    await slots.plug(disk('a'));

    await expect(slots.plug(disk('a'))).rejects.toThrow('Duplicate nodes');

    expect(qemu.drives.get('slot-r0')).toBe('node-a');
    expect(qemu.drives.get('slot-r1')).toBe('empty-r1');
    expect(qemu.nodes).toContain('node-a');
  });

  it('asks again when QEMU could not tell what is where', async () => {
    qemu.failing = 'query-block';
    await expect(slots.plug(disk('a'))).rejects.toThrow('planned');
    expect(await slots.plug(disk('a'))).toBe('r0');
  });
});

describe('unplugging', () => {
  it('puts the empty node back before it removes the disk’s', async () => {
    await slots.plug(disk('a'));
    qemu.commands.length = 0;

    expect(await slots.unplug('a')).toBe(true);

    expect(qemu.commands).toEqual(['qom-set', 'blockdev-del']);
    expect(qemu.drives.get('slot-r0')).toBe('empty-r0');
    expect(qemu.nodes).not.toContain('node-a');
    expect(await slots.plug(disk('b'))).toBe('r0');
  });

  it('leaves a disk that is in no slot to others', async () => {
    expect(await slots.unplug('a')).toBe(false);
  });
});

describe('the slots of a VM that was taken over', () => {
  it('are read from QEMU', async () => {
    await slots.plug(disk('a'));
    await slots.plug(disk('b'));
    await slots.unplug('a');
    const later = new DiskSlots(qemu);

    expect(await later.plug(disk('c'))).toBe('r0');
    expect(await later.plug(disk('d'))).toBe('r2');
    expect(await later.unplug('b')).toBe(true);
  });
});
