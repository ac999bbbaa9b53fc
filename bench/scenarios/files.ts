import { mapSamples } from '../measure/series.ts';
import { addPair, compare } from './compare.ts';
import { fileCount, fileSteps, timeInside } from './guest-scripts.ts';
import type { Scenario } from './scenario.ts';

const stepNames = ['create', 'read', 'remove'] as const;

/** What `npm install` does to a file system: many small files, in many folders. */
export const files: Scenario = {
  title: `${String(fileCount)} files of 2 KiB in 100 folders`,
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['debian']);
    const times = await compare({
      engines,
      rounds: fewRuns,
      signal: lab.signal,
      async measure(engine) {
        await engine.docker('run', '-d', '--name', 'files', 'debian', 'sleep', '10000');
        const milliseconds = { create: 0, read: 0, remove: 0 };
        for (const step of stepNames) {
          milliseconds[step] = await timeInside(engine, 'files', fileSteps[step]);
        }
        await engine.docker('rm', '-f', 'files');
        return milliseconds;
      },
    });
    for (const step of stepNames) {
      const pair = {
        hyper: mapSamples(times.hyper, (milliseconds) => milliseconds[step]),
        docker: mapSamples(times.docker, (milliseconds) => milliseconds[step]),
      };
      addPair(findings, pair, { what: step, unit: 'ms' });
    }
  },
};
