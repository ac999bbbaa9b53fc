import { interleave, mapSamples, withPresent } from '../measure/series.ts';
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
const stepNames = Object.keys(labels) as readonly StepName[];

/** One file in the root file system, written and read at full length and at random places. */
export const disk: Scenario = {
  title: 'disk I/O in the root file system',
  async measure(lab, { fewRuns, full }, findings) {
    const mebibytes = full ? 1024 : 256;
    const steps = diskSteps(mebibytes, operations);
    await using engines = await lab.prepare(['default', 'docker'], ['debian']);
    const subject = (engineName: 'default' | 'docker') =>
      withPresent(engines.get(engineName), (engine) => async () => {
        await engine.docker('run', '-d', '--name', 'disk', 'debian', 'sleep', '10000');
        const milliseconds = {
          sequentialWrite: 0,
          sequentialRead: 0,
          randomWrite: 0,
          randomRead: 0,
        };
        for (const step of stepNames) {
          milliseconds[step] = await timeInside(engine, 'disk', steps[step]);
        }
        await engine.docker('rm', '-f', 'disk');
        return milliseconds;
      });
    const subjects = { hyper: subject('default'), docker: subject('docker') };
    const times = await interleave(fewRuns, subjects, lab.signal);
    for (const step of stepNames) {
      const isRandom = step.startsWith('random');
      const unit = isRandom ? 'IOPS' : 'MiB/s';
      const amount = isRandom ? operations : mebibytes;
      const hyper = mapSamples(times.hyper, (milliseconds) => milliseconds[step]);
      const docker = mapSamples(times.docker, (milliseconds) => milliseconds[step]);
      const toRate = (milliseconds: number): number => (amount / milliseconds) * 1000;
      findings.add(`Hyper: ${labels[step]}`, unit, mapSamples(hyper, toRate));
      findings.add(`Docker with runc: ${labels[step]}`, unit, mapSamples(docker, toRate));
      findings.addRatio(`${labels[step]}: time, Hyper ÷ Docker`, [hyper, docker]);
    }
  },
};
