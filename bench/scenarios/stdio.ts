import { daemonMemory } from '../engines/daemon-memory.ts';
import type { Engine } from '../engines/engine.ts';
import { isAbsent, mapSamples } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import { addPair, compare } from './compare.ts';
import type { Scenario } from './scenario.ts';

/** Bytes through stdin and stdout of a container. */
export const stdio: Scenario = {
  title: 'bytes through `docker run -i busybox cat`',
  async measure(lab, { fewRuns, stdioMiB }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const engine = engines.get('default');
    const peak = async (): Promise<number> =>
      isAbsent(engine) ? Number.NaN : await daemonMemory(engine, 'status', 'VmHWM');
    const before = await peak();
    const times = await compare({
      engines,
      rounds: stdioMiB > 256 ? 1 : fewRuns,
      signal: lab.signal,
      // A smaller amount stands for 1 GiB, where the start of the container is nothing.
      measure: async (one) => (await pump(one, stdioMiB)) - (await pump(one, 0)),
    });
    const what = `${String(stdioMiB)} MiB, start taken off`;
    addPair(findings, times, { what, unit: 's', convert: (ms) => ms / 1000, bar: 'stdio' });
    const toRate = (milliseconds: number): number => stdioMiB / (milliseconds / 1000);
    findings.add('Hyper: throughput', 'MiB/s', mapSamples(times.hyper, toRate));
    findings.add('Docker with runc: throughput', 'MiB/s', mapSamples(times.docker, toRate));
    if (isAbsent(engine)) return;
    findings.add('hyperd: peak memory (RSS) before', 'MB', [before]);
    findings.add('hyperd: peak memory (RSS) after', 'MB', [await peak()]);
  },
};

async function pump(engine: Engine, mebibytes: number): Promise<number> {
  const script =
    `head -c ${String(mebibytes)}M /dev/zero | ` +
    'docker run -i --rm --log-driver none busybox cat | wc -c';
  let received = '';
  const milliseconds = await timed(async () => {
    received = (await engine.client('sh', ['-c', script])).trim();
  });
  if (received !== String(mebibytes * 2 ** 20)) {
    throw new Error(`of ${String(mebibytes)} MiB through cat, ${received} bytes came back`);
  }
  return milliseconds;
}
