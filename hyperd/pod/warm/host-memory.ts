import { readFile } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import path from 'node:path';

import { mebibyte } from '../spec/sizes.ts';

/** What the host has to say about its memory. */
export interface HostMemory {
  /** True when waiting VMs had better give theirs back. */
  isScarce(): Promise<boolean>;
  /** Memory of a process, with its share of what it has in common with others. */
  usedMiB(pid: number): Promise<number>;
}

/** Less free memory than this share of the host's is scarce. */
const scarceShare = 0.1;

export const hostMemory: HostMemory = {
  async isScarce() {
    const meminfo = await readFile('/proc/meminfo', 'utf8').catch(() => '');
    const available = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
    const bytes = available === undefined ? freemem() : Number(available) * 1024;
    return bytes < totalmem() * scarceShare;
  },

  async usedMiB(pid) {
    const file = path.join('/proc', String(pid), 'smaps_rollup');
    const text = await readFile(file, 'utf8').catch(() => '');
    return (Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? '0') * 1024) / mebibyte;
  },
};
