import { interleave, withPresent } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';

const containers = 200;

/** The list of many containers; they are created and have not been started, so `ps` needs `-a`. */
export const list: Scenario = {
  title: `\`docker ps -a\` with ${String(containers)} containers`,
  async measure(lab, { runs }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['busybox']);
    const subject = (engineName: 'default' | 'docker') =>
      withPresent(engines.get(engineName), (engine) => async (round: number) => {
        for (let index = 0; round === 0 && index < containers; index++) {
          await engine.api.json('POST', '/containers/create', { body: { Image: 'busybox' } });
        }
        let output = '';
        const milliseconds = await timed(async () => {
          output = await engine.docker('ps', '-a', '--no-trunc');
        });
        const lines = output.trimEnd().split('\n').length - 1;
        if (lines !== containers) throw new Error(`${String(lines)} containers are listed`);
        return milliseconds;
      });
    const subjects = { hyper: subject('default'), docker: subject('docker') };
    const { hyper, docker } = await interleave(runs * 2, subjects, lab.signal);
    findings.add('Hyper', 'ms', hyper);
    findings.add('Docker with runc', 'ms', docker);
    findings.addRatio('Hyper ÷ Docker', [hyper, docker]);
  },
};
