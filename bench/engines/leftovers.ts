import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { findCgroups } from './cgroups.ts';

/** What is left on the host of a lab: its folder's name is in everything that it makes. */
export async function findLeftovers(directory: string): Promise<readonly string[]> {
  const tag = path.basename(directory);
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const siblings = await readdir(path.dirname(directory));
  return [
    ...siblings.filter((name) => name === tag).map(() => `folder ${directory}`),
    ...mounts
      .split('\n')
      .filter((line) => line.includes(tag))
      .map((line) => `mount ${line}`),
    ...(await findCgroups(tag)).map((folder) => `cgroup ${folder}`),
    ...(await processesNaming(tag)).map((pid) => `process ${pid}`),
  ];
}

async function processesNaming(tag: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(tag)) found.push(pid);
  }
  return found;
}
