import { timed } from '../measure/timed.ts';
import { addPair, compare } from './compare.ts';
import type { Scenario } from './scenario.ts';

const pods = 20;

/** Many starts at the same time, until the last container runs. */
export const parallel: Scenario = {
  title: `${String(pods)} × \`docker run -d busybox sleep\` at once, until the last one is ready`,
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const times = await compare({
      engines,
      rounds: fewRuns,
      signal: lab.signal,
      async measure(engine) {
        const start = ['run', '-d', 'busybox', 'sleep', '10000'];
        const milliseconds = await timed(() =>
          Promise.all(Array.from({ length: pods }, () => engine.docker(...start))),
        );
        await engine.removeContainers();
        return milliseconds;
      },
    });
    addPair(findings, times, { what: '', unit: 'ms', bar: 'parallel' });
  },
};
