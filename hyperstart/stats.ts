import type { ContainerCgroup } from './cgroup.ts';
import { kernelFile } from './files.ts';
import type { ContainerStats, InterfaceStats } from './protocol/message.ts';
import type { Sys } from './sys/sys.ts';

/** What a container uses now, from its cgroup, and the pod's network counters. */
export function readStats(sys: Sys, group: ContainerCgroup): ContainerStats {
  const cpu = group.readTable('cpu.stat');
  const io = blockBytes(group.read('io.stat') ?? '');
  return {
    memoryBytes: Number(group.read('memory.current') ?? '0'),
    memoryMaxBytes: limit(group.read('memory.max')),
    memoryInactiveFileBytes: group.readTable('memory.stat').get('inactive_file') ?? 0,
    cpuUsageMicros: cpu.get('usage_usec') ?? 0,
    cpuUserMicros: cpu.get('user_usec') ?? 0,
    cpuSystemMicros: cpu.get('system_usec') ?? 0,
    throttledPeriods: cpu.get('nr_throttled') ?? 0,
    throttledMicros: cpu.get('throttled_usec') ?? 0,
    pids: Number(group.read('pids.current') ?? '0'),
    pidsMax: limit(group.read('pids.max')),
    onlineCpus: countCpus(kernelFile(sys, '/sys/devices/system/cpu/online') ?? '0'),
    interfaces: parseInterfaceCounters(kernelFile(sys, '/proc/net/dev') ?? ''),
    blockReadBytes: io.read,
    blockWriteBytes: io.written,
  };
}

function limit(text: string | null): number | null {
  return text === null || text === 'max' ? null : Number(text);
}

/** Counts a list of ranges such as `0-3,6`. */
export function countCpus(list: string): number {
  return list.split(',').reduce((count, range) => {
    const [first = '0', last = first] = range.split('-');
    return count + Number(last) - Number(first) + 1;
  }, 0);
}

function blockBytes(text: string): { read: number; written: number } {
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, 'g'))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  return { read: sum('rbytes'), written: sum('wbytes') };
}

/** Parses /proc/net/dev; the loopback interface is left out. */
export function parseInterfaceCounters(text: string): readonly InterfaceStats[] {
  return text.split('\n').flatMap((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim();
    if (name === '' || name === 'lo') return [];
    const counters = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    const at = (column: number): number => counters[column] ?? 0;
    return [
      {
        name,
        rxBytes: at(0),
        rxPackets: at(1),
        rxErrors: at(2),
        rxDropped: at(3),
        txBytes: at(8),
        txPackets: at(9),
        txErrors: at(10),
        txDropped: at(11),
      },
    ];
  });
}
