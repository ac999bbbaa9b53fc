import { kernelFile, kibOf } from './files.ts';
import { guard } from './guard.ts';
import type { Sys } from './sys/sys.ts';

/** Less than this is not worth the work, and a cache so small is of more use to the guest. */
const worthKiB = 16 * 1024;

/** Page cache, dentries and inodes. */
const dropCaches = '3';

const pageKiB = 4;
/** Free-page reporting gives back blocks of this order (2 MiB) and above. */
const reportedOrder = 9;

/** Proactive compaction as the kernel knows it: writing a number above zero begins one at once. */
const compaction = '/proc/sys/vm/compaction_proactiveness';
const compactionMs = 5000;

/**
 * Frees what is cached of clean files, and has the kernel move pages until free memory is in whole blocks,
 * which are what free-page reporting gives back to the host.
 */
export function trimMemory(sys: Sys): void {
  if (cachedKiB(sys) >= worthKiB) sys.writeFile('/proc/sys/vm/drop_caches', dropCaches);
  if (scatteredKiB(sys) < worthKiB) return;
  sys.writeFile(compaction, '100');
  // Left on, it would wake the idle kernel twice a second.
  const stop = guard(sys, 'the end of a compaction', () => {
    sys.writeFile(compaction, '0');
  });
  sys.setTimer(compactionMs, stop);
}

function cachedKiB(sys: Sys): number {
  const meminfo = kernelFile(sys, '/proc/meminfo') ?? '';
  return kibOf(meminfo, 'Cached') - kibOf(meminfo, 'Shmem') + kibOf(meminfo, 'SReclaimable');
}

/** Free memory in blocks that are too small to be reported. A line is a zone: its name, then its blocks by order. */
function scatteredKiB(sys: Sys): number {
  let sum = 0;
  for (const zone of (kernelFile(sys, '/proc/buddyinfo') ?? '').split('\n')) {
    const counts = /zone +\S+ +(.*)/.exec(zone)?.[1]?.trim().split(/ +/) ?? [];
    for (const [order, count] of counts.slice(0, reportedOrder).entries()) {
      sum += Number(count) * pageKiB * 2 ** order;
    }
  }
  return sum;
}
