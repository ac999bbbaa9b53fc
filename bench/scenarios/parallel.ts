import { interleave, withPresent } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

const pods = 20;

/** Many starts at the same time, until the last container runs. */
export const parallel: Scenario = {
  title: `${String(pods)} × \`docker run -d busybox sleep\` at once`,
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const subject = (name: 'default' | 'docker') =>
      withPresent(engines.get(name), (engine) => async () => {
        const starts = Array.from({ length: pods }, () => ['run', '-d', 'busybox', 'sleep', '999']);
        const milliseconds = await timed(() =>
          Promise.all(starts.map((args) => engine.docker(...args))),
        );
        await engine.removeContainers();
        return milliseconds;
      });
    const subjects = { hyper: subject('default'), docker: subject('docker') };
    const { hyper, docker } = await interleave(fewRuns, subjects, lab.signal);
    findings.add('Hyper, last one ready', 'ms', hyper);
    findings.add('Docker with runc, last one ready', 'ms', docker);
    findings.addRatio('Hyper ÷ Docker', [hyper, docker], 'parallel');
  },
};
