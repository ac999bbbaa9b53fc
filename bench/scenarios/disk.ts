import { mapSamples } from '../measure/series.ts';
import { addPair, compare } from './compare.ts';
import { diskSteps, timeInside } from './guest-scripts.ts';
import type { Scenario } from './scenario.ts';

const operations = 2000;

const labels = {
  sequentialWrite: 'sequential write, synced',
  sequentialRead: 'sequential read',
  randomWrite: 'random write of 4 KiB, synced at the end',
  randomRead: 'random read of 4 KiB',
} as const;
type StepName = keyof typeof labels;
/** The first one makes the file that the others find. */
const stepNames = Object.keys(labels) as readonly StepName[];

/** One file in the root file system, written and read at full length and at random places. */
export const disk: Scenario = {
  title: 'disk I/O in the root file system',
  async measure(lab, { fewRuns, full }, findings) {
    const mebibytes = full ? 1024 : 256;
    const steps = diskSteps(mebibytes, operations);
    await using engines = await lab.prepare(['default', 'docker'], ['debian']);
    const times = await compare({
      engines,
      rounds: fewRuns,
      signal: lab.signal,
      async measure(engine) {
        await engine.docker('run', '-d', '--name', 'disk', 'debian', 'sleep', '10000');
        const milliseconds = new Map<StepName, number>();
        for (const step of stepNames) {
          milliseconds.set(step, await timeInside(engine, 'disk', steps[step]));
        }
        await engine.docker('rm', '-f', 'disk');
        return milliseconds;
      },
    });
    for (const step of stepNames) {
      const pick = (sample: ReadonlyMap<StepName, number>): number =>
        sample.get(step) ?? Number.NaN;
      const pair = {
        hyper: mapSamples(times.hyper, pick),
        docker: mapSamples(times.docker, pick),
      };
      const isRandom = step.startsWith('random');
      const amount = isRandom ? operations : mebibytes;
      addPair(findings, pair, {
        what: labels[step],
        unit: isRandom ? 'IOPS' : 'MiB/s',
        convert: (milliseconds) => (amount / milliseconds) * 1000,
      });
    }
  },
};
