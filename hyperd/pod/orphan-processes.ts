import { readdir, readlink } from 'node:fs/promises';

import { killProcess, startTicksOf } from '../base/process-table.ts';

/**
 * Kills the processes that work in one of these directories: hypervisors of VMs that were being
 * launched when the former daemon died, before it could record them.
 */
export async function killProcessesIn(directories: readonly string[]): Promise<void> {
  if (directories.length === 0) return;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  await Promise.all(
    pids.map(async (pid) => {
      const startTicks = startTicksOf(pid);
      // A process that ended meanwhile, or a kernel thread, has no directory.
      const directory = await readlink(`/proc/${String(pid)}/cwd`).catch(() => '');
      if (startTicks !== null && directories.includes(directory)) killProcess(pid, startTicks);
    }),
  );
}
