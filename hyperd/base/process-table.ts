import { readFileSync } from 'node:fs';

/** Time at which a process started, clock ticks since boot; null when there is no such process (or only its corpse). */
export function startTicksOf(pid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  } catch {
    return null;
  }
  // proc(5): the command name in parentheses may hold anything; fields are counted behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? null : Number(fields[19]);
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
