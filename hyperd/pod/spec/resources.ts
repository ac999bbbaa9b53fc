import type { Resources } from '../../../hyperstart/protocol/message.ts';
import { HyperError } from '../../base/error.ts';
import type { HostConfig } from '../docker-config.ts';
import { parseIdSet } from './id-set.ts';
import { mebibyte } from './sizes.ts';

/** What the host has to give. */
export interface HostCapacity {
  readonly cpus: number;
  readonly memoryMiB: number;
}

/** Size of the VM that a pod gets. */
export interface MachineSize {
  readonly memoryMiB: number;
  readonly vcpus: number;
}

const minimumMemoryBytes = 6 * mebibyte;
const periodMicros = 100_000;

/** Memory for guest kernel and agent, on top of the container's limit. */
const guestOverheadMiB = 72;
/** The kernel's page descriptors take 1/64 of what it manages. */
const pageDescriptorShare = 64;
const defaultMemoryMiB = 2048;
const defaultVcpus = 4;

/** Checks the limits of a create request by Docker's rules, with its messages. */
export function parseResources(host: HostConfig, capacity: HostCapacity): Resources {
  checkMemory(host);
  checkCpu(host, capacity);
  const nanoCpus = host.NanoCpus ?? 0;
  const quota = host.CpuQuota ?? 0;
  const period = host.CpuPeriod ?? 0;
  return {
    memoryBytes: positive(host.Memory),
    memorySwapBytes: memorySwap(host),
    memoryReservationBytes: positive(host.MemoryReservation),
    cpuQuotaMicros: nanoCpus > 0 ? Math.round((nanoCpus * periodMicros) / 1e9) : positive(quota),
    cpuPeriodMicros: nanoCpus > 0 || period === 0 ? periodMicros : period,
    cpuWeight: cpuWeight(host.CpuShares ?? 0),
    cpusetCpus: host.CpusetCpus ? host.CpusetCpus : null,
    cpusetMems: host.CpusetMems ? host.CpusetMems : null,
    pidsLimit: positive(host.PidsLimit ?? 0),
  };
}

/** The VM has the container's limits plus what guest kernel and agent need themselves. */
export function machineSize(resources: Resources, capacity: HostCapacity): MachineSize {
  const { memoryBytes, cpuQuotaMicros, cpuPeriodMicros, cpusetCpus } = resources;
  const quotaCpus = cpuQuotaMicros === null ? null : Math.ceil(cpuQuotaMicros / cpuPeriodMicros);
  const wanted = quotaCpus ?? Math.min(defaultVcpus, capacity.cpus);
  const highest = cpusetCpus === null ? 0 : Math.max(...parseIdSet(cpusetCpus, 'CPUs')) + 1;
  return {
    memoryMiB:
      memoryBytes === null
        ? Math.max(128, Math.min(defaultMemoryMiB, Math.floor(capacity.memoryMiB / 2)))
        : withOverhead(Math.ceil(memoryBytes / mebibyte)),
    vcpus: Math.max(1, highest, Math.min(wanted, capacity.cpus)),
  };
}

function withOverhead(limitMiB: number): number {
  const managed = limitMiB + guestOverheadMiB;
  return managed + Math.ceil(managed / pageDescriptorShare);
}

function checkMemory(host: HostConfig): void {
  const { Memory: memory = 0, MemorySwap: swap = 0, MemoryReservation: reservation = 0 } = host;
  refuseIf(
    memory < 0 || (memory > 0 && memory < minimumMemoryBytes),
    'Minimum memory limit allowed is 6MB',
  );
  refuseIf(
    swap > 0 && memory === 0,
    'You should always set the Memory limit when using Memoryswap limit, see usage',
  );
  refuseIf(
    swap > 0 && swap < memory,
    'Minimum memoryswap limit should be larger than memory limit, see usage',
  );
  refuseIf(
    reservation < 0 || (reservation > 0 && reservation < minimumMemoryBytes),
    'Minimum memory reservation allowed is 6MB',
  );
  refuseIf(
    memory > 0 && reservation > memory,
    'Minimum memory limit can not be less than memory reservation limit, see usage',
  );
}

function checkCpu(host: HostConfig, capacity: HostCapacity): void {
  const { NanoCpus: nano = 0, CpuPeriod: period = 0, CpuQuota: quota = 0 } = host;
  refuseIf(
    nano > 0 && period > 0,
    'Conflicting options: Nano CPUs and CPU Period cannot both be set.',
  );
  refuseIf(
    nano > 0 && quota > 0,
    'Conflicting options: Nano CPUs and CPU Quota cannot both be set.',
  );
  const cpus = String(capacity.cpus);
  refuseIf(
    nano < 0 || nano > capacity.cpus * 1e9,
    `Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`,
  );
  refuseIf(
    period !== 0 && (period < 1000 || period > 1_000_000),
    'CPU cfs period cannot be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
  );
  refuseIf(quota > 0 && quota < 1000, 'CPU cfs quota cannot be less than 1ms (i.e. 1000)');
  refuseIf((host.CpuShares ?? 0) < 0, 'invalid CPU shares: must not be negative');
  checkSet(host.CpusetCpus ?? '', 'CPUs', capacity.cpus);
  checkSet(host.CpusetMems ?? '', 'memory nodes', 1);
}

function checkSet(text: string, what: string, available: number): void {
  if (text === '') return;
  const highest = Math.max(...parseIdSet(text, what));
  const range = available === 1 ? '0' : `0-${String(available - 1)}`;
  refuseIf(
    highest >= available,
    `Requested ${what} are not available - requested ${text}, available: ${range}`,
  );
}

/** As Docker: without `--memory-swap` a limit of memory allows the same again as swap. */
function memorySwap({ Memory: memory = 0, MemorySwap: swap = 0 }: HostConfig): number | null {
  if (swap > 0) return swap;
  return swap === 0 && memory > 0 ? memory * 2 : null;
}

/** cgroup v1 shares (2–262144) on the v2 scale (1–10000), by the rule that runc uses. */
function cpuWeight(shares: number): number | null {
  if (shares === 0) return null;
  const bounded = Math.min(262_144, Math.max(2, shares));
  return 1 + Math.floor(((bounded - 2) * 9999) / 262_142);
}

function positive(value: number | undefined): number | null {
  return value !== undefined && value > 0 ? value : null;
}

function refuseIf(condition: boolean, message: string): void {
  if (condition) throw new HyperError('INVALID_ARGUMENT', message);
}
