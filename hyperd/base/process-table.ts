import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const checkMs = 10;

/** USER_HZ of every Linux that Node runs on. */
const msPerTick = 10;

/** Time at which a process started, clock ticks since boot; null when there is no such process (or only its corpse). */
export function startTicksOf(pid: number): number | null {
  const fields = statOf(pid);
  return fields === null ? null : Number(fields[19]);
}

/** CPU time that a process has used; null as above. */
export function cpuTimeMsOf(pid: number): number | null {
  const fields = statOf(pid);
  return fields === null ? null : (Number(fields[11]) + Number(fields[12])) * msPerTick;
}

function statOf(pid: number): readonly string[] | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  } catch {
    return null;
  }
  // proc(5): the command name in parentheses may hold anything; fields are counted behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? null : fields;
}

/** True while the very process lives that had this pid and start time. */
export function isAlive(pid: number, startTicks: number): boolean {
  return startTicksOf(pid) === startTicks;
}

/** Kills that process and no other that got its pid since. */
export function killProcess(pid: number, startTicks: number): void {
  if (!isAlive(pid, startTicks)) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended between the look and the kill, which is what we want.
  }
}

/**
 * Waits for the last moments of a process that is known to be ending; false when it still lives after
 * `milliseconds`. It looks again and again: of a process that is no child Node gets no event.
 */
export async function hasEndedWithin(
  milliseconds: number,
  { pid, startTicks }: { readonly pid: number; readonly startTicks: number },
): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  while (isAlive(pid, startTicks)) {
    if (performance.now() >= deadline) return false;
    await delay(checkMs);
  }
  return true;
}
