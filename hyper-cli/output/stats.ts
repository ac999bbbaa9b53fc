import type { HostUse } from '../../hyperd/api/schema/hyper.ts';
import type { ListRow } from './list.ts';
import { formatBinarySize, formatSize } from './table.ts';

interface CpuSample {
  readonly cpu_usage: { readonly total_usage: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

interface Traffic {
  readonly rx_bytes: number;
  readonly tx_bytes: number;
}

/** What we read of `GET /containers/{id}/stats`. Much of it is missing of a container that does not run. */
export interface StatsAnswer {
  readonly id: string;
  readonly name: string;
  readonly cpu_stats: CpuSample;
  readonly precpu_stats: CpuSample;
  readonly memory_stats: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: { readonly inactive_file: number };
  };
  readonly pids_stats: { readonly current?: number };
  readonly blkio_stats: {
    readonly io_service_bytes_recursive:
      readonly { readonly op: string; readonly value: number }[] | null;
  };
  readonly networks?: Readonly<Record<string, Traffic>>;
  readonly hyper?: HostUse;
}

export const statsHeader = [
  ...['CONTAINER ID', 'NAME', 'CPU %', 'GUEST MEM / LIMIT', 'HOST MEM', 'NET I/O', 'BLOCK I/O'],
  'PIDS',
];

/** A row of `hyper stats`. What a container that does not run has none of is null, and `-` in the table. */
export function toStatsRow(answer: StatsAnswer): ListRow {
  const identity = { ID: answer.id.slice(0, 12), Name: answer.name.replace(/^\//, '') };
  const use = answer.hyper === undefined ? null : toUse(answer, answer.hyper);
  const fields = { ...identity, ...(use ?? nothing) };
  const cells = { 'CONTAINER ID': identity.ID, NAME: identity.Name, ...toCells(use) };
  return { id: identity.ID, fields, cells };
}

type Use = ReturnType<typeof toUse>;

const nothing: Readonly<Record<keyof Use, null>> = {
  CpuPercent: null,
  MemoryBytes: null,
  MemoryLimitBytes: null,
  HostMemoryBytes: null,
  NetworkReceivedBytes: null,
  NetworkSentBytes: null,
  BlockReadBytes: null,
  BlockWrittenBytes: null,
  Pids: null,
};

function toUse(answer: StatsAnswer, host: HostUse) {
  const { memory_stats: memory, pids_stats: pids } = answer;
  const cards = Object.values(answer.networks ?? {});
  const blocks = answer.blkio_stats.io_service_bytes_recursive ?? [];
  const blockBytes = (wanted: string): number =>
    sum(blocks.filter(({ op }) => op === wanted).map(({ value }) => value));
  return {
    CpuPercent: cpuPercent(answer),
    // Without what the guest keeps of files and would drop, as docker counts.
    MemoryBytes: Math.max(0, (memory.usage ?? 0) - (memory.stats?.inactive_file ?? 0)),
    MemoryLimitBytes: memory.limit ?? 0,
    HostMemoryBytes: host.host_memory_bytes,
    NetworkReceivedBytes: sum(cards.map(({ rx_bytes }) => rx_bytes)),
    NetworkSentBytes: sum(cards.map(({ tx_bytes }) => tx_bytes)),
    BlockReadBytes: blockBytes('read'),
    BlockWrittenBytes: blockBytes('write'),
    Pids: pids.current ?? 0,
  };
}

/** Of one processor, as docker counts: two busy ones are 200. */
function cpuPercent({ cpu_stats: now, precpu_stats: before }: StatsAnswer): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const available = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  if (used <= 0 || available <= 0) return 0;
  return Math.round((used / available) * (now.online_cpus ?? 1) * 10_000) / 100;
}

function toCells(use: Use | null): Readonly<Record<string, string>> {
  if (use === null) return Object.fromEntries(statsHeader.slice(2).map((name) => [name, '-']));
  const memory = [use.MemoryBytes, use.MemoryLimitBytes].map(formatBinarySize);
  const network = [use.NetworkReceivedBytes, use.NetworkSentBytes].map(formatSize);
  const blocks = [use.BlockReadBytes, use.BlockWrittenBytes].map(formatSize);
  return {
    'CPU %': `${use.CpuPercent.toFixed(2)}%`,
    'GUEST MEM / LIMIT': memory.join(' / '),
    'HOST MEM': formatBinarySize(use.HostMemoryBytes),
    'NET I/O': network.join(' / '),
    'BLOCK I/O': blocks.join(' / '),
    PIDS: String(use.Pids),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
