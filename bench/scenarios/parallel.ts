import { untilWarm } from '../engines/hyper-vms.ts';
import { mapAll } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import { addPair, compare, type Pair } from './compare.ts';
import type { Scenario } from './scenario.ts';

const pods = 20;

/**
 * Many starts at the same time, until the last container runs. The first burst finds hyperd's pool as it is
 * without demand; the pool has filled up before each of the others.
 */
export const parallel: Scenario = {
  title: `${String(pods)} × \`docker run -d busybox sleep\` at once, until the last one is ready`,
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const hyper = engines.get('default');
    const times = await compare({
      engines,
      rounds: fewRuns + 1,
      signal: lab.signal,
      async measure(engine) {
        const start = ['run', '-d', 'busybox', 'sleep', '10000'];
        const milliseconds = await timed(() =>
          Promise.all(Array.from({ length: pods }, () => engine.docker(...start))),
        );
        await engine.removeContainers();
        if (engine === hyper) await untilWarm(engine, lab.signal);
        return milliseconds;
      },
    });
    const pick = (part: (samples: readonly number[]) => readonly number[]): Pair<number> => ({
      hyper: mapAll(times.hyper, part),
      docker: mapAll(times.docker, part),
    });
    addPair(
      findings,
      pick((samples) => samples.slice(0, 1)),
      { what: 'first burst', unit: 'ms', bar: 'burst' },
    );
    addPair(
      findings,
      pick((samples) => samples.slice(1)),
      { what: '', unit: 'ms', bar: 'parallel' },
    );
  },
};
