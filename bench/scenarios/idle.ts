import { setTimeout as delay } from 'node:timers/promises';

import { daemonMemory } from '../engines/daemon-memory.ts';
import type { Engine } from '../engines/engine.ts';
import { isAbsent } from '../measure/series.ts';
import type { Findings } from '../findings.ts';
import type { Scenario } from './scenario.ts';

const pods = 5;
const observedMs = 10_000;

/** What the daemons themselves cost while nothing happens. */
export const idle: Scenario = {
  title: 'the daemon at idle',
  async measure(lab, _effort, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    for (const [label, name] of [
      ['hyperd', 'default'],
      ['dockerd and containerd', 'docker'],
    ] as const) {
      const engine = engines.get(name);
      if (isAbsent(engine)) {
        findings.add(label, 'MB', engine);
        continue;
      }
      await observe(engine, `${label}, no container`, findings, lab.signal);
      for (let pod = 0; pod < pods; pod++) {
        await engine.docker('run', '-d', 'busybox', 'sleep', '10000');
      }
      await observe(engine, `${label}, ${String(pods)} idle containers`, findings, lab.signal);
    }
  },
};

async function observe(
  engine: Engine,
  label: string,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  // What just happened is not idle.
  await delay(observedMs / 2, undefined, { signal });
  const before = await cpuSeconds(engine);
  await delay(observedMs, undefined, { signal });
  const share = ((await cpuSeconds(engine)) - before) / (observedMs / 1000);
  findings.add(`${label}: RSS`, 'MB', [await daemonMemory(engine, 'status', 'VmRSS')]);
  findings.add(`${label}: CPU`, '% of a core', [share * 100]);
}

async function cpuSeconds(engine: Engine): Promise<number> {
  const processes = await engine.daemonProcesses();
  return processes.reduce((total, process) => total + process.cpuSeconds, 0);
}
