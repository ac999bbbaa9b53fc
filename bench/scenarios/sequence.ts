import { readFile } from 'node:fs/promises';

import { messageOf } from '../../hyperd/base/error.ts';
import type { BarId } from '../bars.ts';
import type { Engine } from '../engines/engine.ts';
import { daemonMemory } from '../engines/daemon-memory.ts';
import { untilWarm } from '../engines/hyper-vms.ts';
import type { Findings } from '../findings.ts';
import { isAbsent } from '../measure/series.ts';
import { readField } from '../measure/smaps.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

const pods = 100;
/** A single start says little: so many at each end of the row are looked at. */
const ends = 5;
/** So many starts have one in which the daemon had just collected its garbage. */
const window = 20;
/** Of the host; below it no further pod is started. */
const sparedMemoryKiB = 2 * 1024 ** 2;

interface Row {
  readonly starts: readonly number[];
  /** RSS of the daemon in MB after each start. */
  readonly daemon: readonly number[];
  /** Why there are fewer than asked for; null when all run. */
  readonly stopped: string | null;
}

/** One start after the other, all pods running on: does the last one pay for those before? */
export const sequence: Scenario = {
  title: `${String(pods)} × \`docker run -d busybox sleep\` one after another`,
  async measure(lab, _effort, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const hyper = engines.get('default');
    if (isAbsent(hyper)) {
      findings.add('Hyper: last ÷ first', '', hyper, 'hundredth');
      findings.add('Hyper: growth of hyperd per pod', 'MB', hyper, 'growth');
    } else {
      const alone = await startAtEase(hyper, lab.signal);
      await hyper.removeContainers();
      addHyper(findings, await startRow(hyper, lab.signal));
      const beside = await startAtEase(hyper, lab.signal);
      await hyper.removeContainers();
      findings.addRatio('Hyper, pool full again before each: beside all ÷ alone', [beside, alone]);
    }
    const docker = engines.get('docker');
    if (isAbsent(docker)) {
      findings.add('Docker with runc: last ÷ first', '', docker);
    } else {
      addEnds(findings, 'Docker with runc', await startRow(docker, lab.signal));
      await docker.removeContainers();
    }
  },
};

const startPod = (engine: Engine): Promise<number> =>
  timed(() => engine.docker('run', '-d', 'busybox', 'sleep', '10000'));

/** A row is quicker than a pool fills; this is what the pods that run already cost a start. */
async function startAtEase(engine: Engine, signal: AbortSignal): Promise<readonly number[]> {
  const starts: number[] = [];
  while (starts.length < ends) {
    await untilWarm(engine, signal);
    starts.push(await startPod(engine));
  }
  return starts;
}

async function startRow(engine: Engine, signal: AbortSignal): Promise<Row> {
  const starts: number[] = [];
  const daemon: number[] = [];
  let stopped: string | null = null;
  while (starts.length < pods && stopped === null) {
    signal.throwIfAborted();
    try {
      starts.push(await startPod(engine));
      daemon.push(await daemonMemory(engine, 'status', 'VmRSS'));
      if ((await availableKiB()) < sparedMemoryKiB) stopped = 'the host has no memory left';
    } catch (thrown) {
      stopped = messageOf(thrown);
    }
  }
  return { starts, daemon, stopped: starts.length === pods ? null : stopped };
}

function addHyper(findings: Findings, row: Row): void {
  if (row.stopped === null) {
    addEnds(findings, 'Hyper', row, 'hundredth');
    findings.add('Hyper: growth of hyperd per pod', 'MB', [growthPerPod(row.daemon)], 'growth');
    return;
  }
  // Fewer pods cannot meet the bars of a hundred: what they show is told beside.
  const reason = `pod ${String(row.starts.length + 1)} of ${String(pods)}: ${row.stopped}`;
  findings.add('Hyper: last ÷ first', '', { absent: reason }, 'hundredth');
  findings.add('Hyper: growth of hyperd per pod', 'MB', { absent: reason }, 'growth');
  if (row.starts.length < 2 * window) return;
  addEnds(findings, `Hyper, ${String(row.starts.length)} pods`, row);
  findings.add('Hyper: growth of hyperd per pod until then', 'MB', [growthPerPod(row.daemon)]);
}

/** From the least memory at one end of the row to the least at the other. */
function growthPerPod(daemon: readonly number[]): number {
  const first = Math.min(...daemon.slice(0, window));
  const last = Math.min(...daemon.slice(-window));
  return (last - first) / (daemon.length - window);
}

function addEnds(findings: Findings, label: string, { starts }: Row, bar?: BarId): void {
  const first = starts.slice(0, ends);
  const last = starts.slice(-ends);
  findings.add(`${label}: first ${String(ends)}`, 'ms', first);
  findings.add(`${label}: last ${String(ends)}`, 'ms', last);
  findings.addRatio(`${label}: last ÷ first`, [last, first], bar);
}

async function availableKiB(): Promise<number> {
  return readField(await readFile('/proc/meminfo', 'utf8'), 'MemAvailable');
}
