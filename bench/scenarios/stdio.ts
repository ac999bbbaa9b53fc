import { daemonMemory } from '../engines/daemon-memory.ts';
import type { Engine } from '../engines/engine.ts';
import { combine, interleave, isAbsent, withPresent } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

/** Bytes through stdin and stdout of a container. */
export const stdio: Scenario = {
  title: 'bytes through `docker run -i busybox cat`',
  async measure(lab, { fewRuns, stdioMiB }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const subject = (name: 'default' | 'docker', mebibytes: number) =>
      withPresent(engines.get(name), (engine) => () => pump(engine, mebibytes));
    const subjects = {
      hyper: subject('default', stdioMiB),
      hyperEmpty: subject('default', 0),
      docker: subject('docker', stdioMiB),
      dockerEmpty: subject('docker', 0),
    };
    const engine = engines.get('default');
    const peak = async (): Promise<number> =>
      isAbsent(engine) ? Number.NaN : await daemonMemory(engine, 'status', 'VmHWM');
    const before = await peak();
    const times = await interleave(stdioMiB > 256 ? 1 : fewRuns, subjects, lab.signal);
    // A smaller amount stands for 1 GiB, where the start of the container is nothing.
    const hyper = combine(times.hyper, times.hyperEmpty, (all, empty) => (all - empty) / 1000);
    const docker = combine(times.docker, times.dockerEmpty, (all, empty) => (all - empty) / 1000);
    const amount = `${String(stdioMiB)} MiB`;
    findings.add(`Hyper: ${amount}, start taken off`, 's', hyper);
    findings.add(`Docker with runc: ${amount}, start taken off`, 's', docker);
    findings.addRatio(`Hyper ÷ Docker, ${amount}`, [hyper, docker], 'stdio');
    const perSecond = (seconds: number): number => stdioMiB / seconds;
    findings.add('Hyper: throughput', 'MiB/s', combine(hyper, hyper, perSecond));
    findings.add('Docker with runc: throughput', 'MiB/s', combine(docker, docker, perSecond));
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
