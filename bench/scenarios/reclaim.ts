import { setTimeout as delay } from 'node:timers/promises';

import type { Engine } from '../engines/engine.ts';
import { hostPid, vmOf } from '../engines/hyper-vms.ts';
import { readVmMappings } from '../engines/vm-memory.ts';
import { isAbsent } from '../measure/series.ts';
import { totalPss } from '../measure/smaps.ts';
import type { Scenario } from './scenario.ts';

const allocatedMiB = 256;
const deadlineMs = 15_000;
const pollMs = 500;
const settleMs = 10_000;
const barName = `of ${String(allocatedMiB)} MiB, back on the host within 15 s`;

interface Return {
  readonly share: number;
  readonly allocated: number;
  /** Until nine tenths were back; null when that took longer than the deadline. */
  readonly seconds: number | null;
}

/** Memory that a guest has used and freed: does the host get it back? */
export const reclaim: Scenario = {
  title: `${String(allocatedMiB)} MiB written to a tmpfs in the guest, and removed`,
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['default'], ['busybox']);
    const hyper = engines.get('default');
    if (isAbsent(hyper)) {
      findings.add(barName, '%', hyper, 'reclaim');
      return;
    }
    const returns: Return[] = [];
    for (let run = 0; run < fewRuns; run++) returns.push(await measureOnce(hyper, lab.signal));
    const shares = returns.map(({ share }) => share * 100);
    findings.add(barName, '%', shares, 'reclaim');
    const allocated = returns.map((one) => one.allocated);
    findings.add('growth of the VM on the host (PSS) before', 'MB', allocated);
    const times = returns.flatMap(({ seconds }) => (seconds === null ? [] : [seconds]));
    const late = { absent: 'nine tenths were never back within 15 s' };
    findings.add('until nine tenths were back', 's', times.length === 0 ? late : times);
  },
};

async function measureOnce(engine: Engine, signal: AbortSignal): Promise<Return> {
  const options = ['--name', 'reclaim', '--tmpfs', '/scratch'];
  await engine.docker('run', '-d', ...options, 'busybox', 'sleep', '10000');
  const pid = await hostPid(engine, await vmOf(engine, 'reclaim'));
  const pss = async (): Promise<number> => totalPss(await readVmMappings(pid));
  const write = (mebibytes: number): Promise<unknown> => {
    const script = `dd if=/dev/urandom of=/scratch/file bs=1M count=${String(mebibytes)}`;
    return engine.docker('exec', 'reclaim', 'sh', '-c', script);
  };
  const remove = (): Promise<unknown> => engine.docker('exec', 'reclaim', 'rm', '/scratch/file');
  // What the programs and QEMU's code for them take is there before: nobody frees it.
  await write(1);
  await remove();
  await delay(settleMs, undefined, { signal });
  const idle = await pss();
  await write(allocatedMiB);
  const full = await pss();
  await remove();
  const freedAt = performance.now();
  let share = 0;
  let seconds: number | null = null;
  while (performance.now() - freedAt < deadlineMs) {
    await delay(pollMs, undefined, { signal });
    share = (full - (await pss())) / (full - idle);
    if (share >= 0.9) seconds ??= (performance.now() - freedAt) / 1000;
  }
  await engine.docker('rm', '-f', 'reclaim');
  return { share, allocated: full - idle, seconds };
}
