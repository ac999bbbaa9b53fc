import { timed } from '../measure/timed.ts';
import { addPair, compare } from './compare.ts';
import type { Scenario } from './scenario.ts';

/** A further process in a running container. */
export const exec: Scenario = {
  title: '`docker exec C true`',
  async measure(lab, { runs }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const times = await compare({
      engines,
      rounds: runs * 2,
      signal: lab.signal,
      async measure(engine, round) {
        if (round === 0) {
          await engine.docker('run', '-d', '--name', 'exec', 'busybox', 'sleep', '10000');
          await engine.docker('exec', 'exec', 'true');
        }
        return await timed(() => engine.docker('exec', 'exec', 'true'));
      },
    });
    addPair(findings, times, { what: '', unit: 'ms', bar: 'exec' });
  },
};
