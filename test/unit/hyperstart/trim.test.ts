import { beforeEach, describe, expect, it } from 'vitest';

import { GuestBench } from '../../support/guest-bench.ts';

const dropCaches = '/proc/sys/vm/drop_caches';
const compaction = '/proc/sys/vm/compaction_proactiveness';

let guest: GuestBench;
beforeEach(() => {
  guest = new GuestBench();
  guest.connect();
  guest.sys.files.put(dropCaches, '0');
  guest.sys.files.put(compaction, '0');
});

function setCache({ cached, shared = 0, slab = 0 }: Record<string, number>): void {
  const lines = [`Cached: ${String(cached)} kB`, `Shmem: ${String(shared)} kB`];
  guest.sys.files.put('/proc/meminfo', `${lines.join('\n')}\nSReclaimable: ${String(slab)} kB\n`);
}

/** Free blocks of each order in the second of two zones. */
function setFree(...counts: readonly number[]): void {
  const zones = [
    'Node 0, zone      DMA      0      0',
    `Node 0, zone    DMA32 ${counts.join('   ')} `,
  ];
  guest.sys.files.put('/proc/buddyinfo', `${zones.join('\n')}\n`);
}

describe('an idle guest', () => {
  it.each([
    ['files', { cached: 40_000 }],
    ['their names', { cached: 1000, slab: 20_000 }],
  ])('drops a cache of %s', async (_, cache) => {
    setCache(cache);
    expect(await guest.request('trim', {})).toEqual({});
    expect(guest.sys.files.read(dropCaches)).toBe('3');
  });

  it.each([
    ['a small cache', { cached: 10_000, slab: 5000 }],
    ['tmpfs and shared memory', { cached: 500_000, shared: 495_000 }],
  ])('keeps %s', async (_, cache) => {
    setCache(cache);
    await guest.request('trim', {});
    expect(guest.sys.files.read(dropCaches)).toBe('0');
  });

  it('has scattered memory compacted for a while', async () => {
    setFree(1000, 0, 0, 0, 0, 0, 0, 0, 20, 400, 400);
    await guest.request('trim', {});
    expect(guest.sys.files.read(compaction)).toBe('100');
    guest.sys.advance(5000);
    expect(guest.sys.files.read(compaction)).toBe('0');
  });

  it('leaves memory alone that is free in whole blocks', async () => {
    setFree(1000, 0, 0, 0, 0, 0, 0, 0, 3, 400, 400);
    await guest.request('trim', {});
    expect(guest.sys.files.read(compaction)).toBe('0');
  });
});
