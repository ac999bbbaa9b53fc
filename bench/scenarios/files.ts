import { interleave, mapSamples, withPresent } from '../measure/series.ts';
import { fileCount, fileSteps, timeInside } from './guest-scripts.ts';
import type { Scenario } from './scenario.ts';

const stepNames = ['create', 'read', 'remove'] as const;

/** What `npm install` does to a file system: many small files, in many folders. */
export const files: Scenario = {
  title: `${String(fileCount)} files of 2 KiB in 100 folders`,
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['debian']);
    const subject = (engineName: 'default' | 'docker') =>
      withPresent(engines.get(engineName), (engine) => async () => {
        await engine.docker('run', '-d', '--name', 'files', 'debian', 'sleep', '10000');
        const milliseconds = { create: 0, read: 0, remove: 0 };
        for (const step of stepNames) {
          milliseconds[step] = await timeInside(engine, 'files', fileSteps[step]);
        }
        await engine.docker('rm', '-f', 'files');
        return milliseconds;
      });
    const subjects = { hyper: subject('default'), docker: subject('docker') };
    const times = await interleave(fewRuns, subjects, lab.signal);
    for (const step of stepNames) {
      const hyper = mapSamples(times.hyper, (milliseconds) => milliseconds[step]);
      const docker = mapSamples(times.docker, (milliseconds) => milliseconds[step]);
      findings.add(`Hyper: ${step}`, 'ms', hyper);
      findings.add(`Docker with runc: ${step}`, 'ms', docker);
      findings.addRatio(`${step}: Hyper ÷ Docker`, [hyper, docker]);
    }
  },
};
