import { readdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { isErrno } from '../../hyperd/base/error.ts';

const mountPoint = '/sys/fs/cgroup';
const removalAttempts = 50;
const removalPauseMs = 100;

/** The folders of a cgroup: one with cgroup v2, one in each hierarchy with v1. */
export async function findCgroups(name: string): Promise<readonly string[]> {
  const hierarchies = await subfolders(mountPoint);
  const found = hierarchies.includes(name) ? [path.join(mountPoint, name)] : [];
  for (const hierarchy of hierarchies) {
    const folder = path.join(mountPoint, hierarchy);
    if ((await subfolders(folder)).includes(name)) found.push(path.join(folder, name));
  }
  return found;
}

/** Removes a cgroup, and those beneath it, from all hierarchies; its processes must have ended. */
export async function removeCgroups(name: string): Promise<void> {
  for (const folder of await findCgroups(name)) await removeTree(folder);
}

async function removeTree(folder: string): Promise<void> {
  for (const child of await subfolders(folder)) await removeTree(path.join(folder, child));
  for (let attempt = 1; ; attempt++) {
    try {
      await rmdir(folder);
      return;
    } catch (thrown) {
      // The same hierarchy may be mounted under two names, as cpu and cpuacct are.
      if (isErrno(thrown, 'ENOENT')) return;
      // A killed process leaves its cgroup a moment after it has closed its files.
      if (!isErrno(thrown, 'EBUSY') || attempt === removalAttempts) throw thrown;
      await delay(removalPauseMs);
    }
  }
}

async function subfolders(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
