import type { ContainerStatsView, ContainerView } from '../../pod/container-service.ts';
import type { HostUse } from '../schema/hyper.ts';
import { toTimestamp, zeroTime } from './render-time.ts';

const emptyCpu = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

/** One sample of `GET /containers/{id}/stats`; `sample` is null when the container does not run. */
export function renderStats(
  container: ContainerView,
  sample: ContainerStatsView | null,
  previous: ContainerStatsView | null,
): object {
  const identity = { name: `/${container.name}`, id: container.id };
  if (sample === null) {
    return {
      ...identity,
      read: zeroTime,
      preread: zeroTime,
      pids_stats: {},
      blkio_stats: renderBlockIo(null),
      num_procs: 0,
      storage_stats: {},
      cpu_stats: emptyCpu,
      precpu_stats: emptyCpu,
      memory_stats: {},
    };
  }
  const { guest } = sample;
  const startedUnixMs = container.state.startedUnixMs ?? sample.readUnixMs;
  return {
    ...identity,
    read: toTimestamp(sample.readUnixMs),
    preread: toTimestamp(previous?.readUnixMs ?? null),
    pids_stats: {
      current: guest.pids,
      ...(guest.pidsMax === null ? {} : { limit: guest.pidsMax }),
    },
    blkio_stats: renderBlockIo(sample),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: renderCpu(sample, startedUnixMs),
    precpu_stats: previous === null ? emptyCpu : renderCpu(previous, startedUnixMs),
    memory_stats: {
      usage: guest.memoryBytes,
      stats: { inactive_file: guest.memoryInactiveFileBytes },
      limit: sample.memoryLimitBytes,
    },
    ...(guest.interfaces.length === 0 ? {} : { networks: renderInterfaces(sample) }),
    hyper: { host_memory_bytes: sample.hostMemoryBytes } satisfies HostUse,
  };
}

function renderCpu({ guest, readUnixMs }: ContainerStatsView, startedUnixMs: number): object {
  return {
    cpu_usage: {
      total_usage: guest.cpuUsageMicros * 1000,
      usage_in_kernelmode: guest.cpuSystemMicros * 1000,
      usage_in_usermode: guest.cpuUserMicros * 1000,
    },
    // What all the guest's processors together could have used: clients divide one difference by the other.
    system_cpu_usage: Math.max(0, readUnixMs - startedUnixMs) * 1_000_000 * guest.onlineCpus,
    online_cpus: guest.onlineCpus,
    throttling_data: {
      periods: 0,
      throttled_periods: guest.throttledPeriods,
      throttled_time: guest.throttledMicros * 1000,
    },
  };
}

function renderBlockIo(sample: ContainerStatsView | null): object {
  return {
    io_service_bytes_recursive:
      sample === null
        ? null
        : [
            { major: 0, minor: 0, op: 'read', value: sample.guest.blockReadBytes },
            { major: 0, minor: 0, op: 'write', value: sample.guest.blockWriteBytes },
          ],
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

function renderInterfaces({ guest }: ContainerStatsView): object {
  return Object.fromEntries(
    guest.interfaces.map((card) => [
      card.name,
      {
        rx_bytes: card.rxBytes,
        rx_packets: card.rxPackets,
        rx_errors: card.rxErrors,
        rx_dropped: card.rxDropped,
        tx_bytes: card.txBytes,
        tx_packets: card.txPackets,
        tx_errors: card.txErrors,
        tx_dropped: card.txDropped,
      },
    ]),
  );
}
