import { interleave, withPresent } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

/** A further process in a running container. */
export const exec: Scenario = {
  title: '`docker exec C true`',
  async measure(lab, { runs }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const subject = (name: 'default' | 'docker') =>
      withPresent(engines.get(name), (engine) => async (round: number) => {
        if (round === 0) {
          await engine.docker('run', '-d', '--name', 'exec', 'busybox', 'sleep', '10000');
          await engine.docker('exec', 'exec', 'true');
        }
        return await timed(() => engine.docker('exec', 'exec', 'true'));
      });
    const subjects = { hyper: subject('default'), docker: subject('docker') };
    const { hyper, docker } = await interleave(runs * 2, subjects, lab.signal);
    findings.add('Hyper', 'ms', hyper);
    findings.add('Docker with runc', 'ms', docker);
    findings.addRatio('Hyper ÷ Docker', [hyper, docker], 'exec');
  },
};
