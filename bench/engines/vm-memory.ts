import { stat } from 'node:fs/promises';

import { guestMemoryFiles, isOwnFile, type Mapping, parseSmaps } from '../measure/smaps.ts';
import { readIfAlive } from './processes.ts';

/** What the memory is called that a forked VM has instead of its parent's file (vm-fork/memory.c). */
const forkedFile = '/memfd:guest-memory';

/** The files that are a VM's guest memory; none when that is anonymous. */
export async function readGuestFiles(pid: number): Promise<readonly string[]> {
  const files = guestMemoryFiles(await readIfAlive(pid, 'cmdline'));
  return files.length === 0 ? [] : [...files, forkedFile];
}

/**
 * The mappings of a VM's process. Of a file that only it can reach, all pages that exist count: those
 * that it has not touched itself, or has unmapped without giving them back, cost the host as much.
 */
export async function readVmMappings(pid: number): Promise<readonly Mapping[]> {
  const mappings: Mapping[] = [];
  const counted = new Set<string>();
  for (const mapping of parseSmaps(await readIfAlive(pid, 'smaps'))) {
    if (!isOwnFile(mapping)) {
      mappings.push(mapping);
      continue;
    }
    const isFirst = !counted.has(mapping.path);
    counted.add(mapping.path);
    const allocatedKiB = isFirst ? await allocated(pid, mapping) : 0;
    mappings.push({ ...mapping, pssKiB: allocatedKiB, privateKiB: allocatedKiB });
  }
  return mappings;
}

async function allocated(pid: number, { range }: Mapping): Promise<number> {
  const { blocks } = await stat(`/proc/${String(pid)}/map_files/${range}`);
  // Of 512 bytes, whatever the file system.
  return blocks / 2;
}
