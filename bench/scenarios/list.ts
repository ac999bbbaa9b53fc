import type { Engine } from '../engines/engine.ts';
import { timed } from '../measure/timed.ts';
import { addPair, compare } from './compare.ts';
import type { Scenario } from './scenario.ts';

const containers = 200;

/** The list of many containers; they are created and have not been started, so `ps` needs `-a`. */
export const list: Scenario = {
  title: `\`docker ps -a\` with ${String(containers)} containers`,
  async measure(lab, { runs }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const times = await compare({
      engines,
      rounds: runs * 2,
      signal: lab.signal,
      async measure(engine, round) {
        if (round === 0) await createContainers(engine);
        return await listOnce(engine);
      },
    });
    addPair(findings, times, { what: '', unit: 'ms' });
  },
};

async function createContainers(engine: Engine): Promise<void> {
  for (let index = 0; index < containers; index++) {
    await engine.api.json('POST', '/containers/create', { body: { Image: 'busybox' } });
  }
}

async function listOnce(engine: Engine): Promise<number> {
  let output = '';
  const milliseconds = await timed(async () => {
    output = await engine.docker('ps', '-a', '--no-trunc');
  });
  const lines = output.trimEnd().split('\n').length - 1;
  if (lines !== containers) throw new Error(`${String(lines)} containers are listed`);
  return milliseconds;
}
