import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks a second of /proc/<pid>/stat; Linux has had no other value since the nineties. */
const ticksPerSecond = 100;

/** What /proc/<pid>/stat says of a process. */
export interface ProcessStat {
  readonly pid: number;
  /** At most 15 characters. */
  readonly name: string;
  readonly parent: number;
  /** In the kernel and outside of it, so far. */
  readonly cpuSeconds: number;
}

/** Parses one line of /proc/<pid>/stat; the command in it may hold blanks and brackets. */
export function parseProcessStat(line: string): ProcessStat {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index]);
  return {
    pid: Number.parseInt(line, 10),
    name: line.slice(line.indexOf('(') + 1, line.lastIndexOf(')')),
    parent: number(1),
    cpuSeconds: (number(11) + number(12)) / ticksPerSecond,
  };
}

/** A process and everything beneath it, by the parents that /proc names now. */
export function descendants(all: readonly ProcessStat[], ancestor: number): readonly ProcessStat[] {
  const found = all.filter(({ pid }) => pid === ancestor);
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

/** All processes of the host that are there now. */
export async function listProcesses(): Promise<readonly ProcessStat[]> {
  const entries = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const lines = await Promise.all(entries.map((pid) => readIfAlive(Number(pid), 'stat')));
  return lines.filter((line) => line !== '').map(parseProcessStat);
}

/** A file of /proc/<pid>; empty when the process has ended. */
export async function readIfAlive(pid: number, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${String(pid)}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
