import path from 'node:path';

import { buildCliBundle } from '../../setup/cli-bundle.ts';
import { root } from '../../setup/paths.ts';
import { interleave, withPresent } from '../measure/series.ts';
import { timed } from '../measure/timed.ts';
import type { Scenario } from './scenario.ts';
import { rest } from './start.ts';

/** Our command line and Docker's, against the same daemon. */
export const client: Scenario = {
  title: '`hyper run --rm busybox true`',
  async measure(lab, { runs }, findings) {
    await buildCliBundle();
    await using engines = await lab.prepare(['default'], ['busybox']);
    const args = ['run', '--rm', 'busybox', 'true'];
    const subject = (program: string) =>
      withPresent(engines.get('default'), (engine) => async () => {
        const milliseconds = await timed(() => engine.client(program, args));
        await rest(engine, true, lab.signal);
        return milliseconds;
      });
    const subjects = { hyper: subject(path.join(root, 'bin/hyper')), docker: subject('docker') };
    const { hyper, docker } = await interleave(runs, subjects, lab.signal);
    findings.add('`hyper run`', 'ms', hyper);
    findings.add('`docker run`', 'ms', docker);
    findings.addRatio('`hyper run` ÷ `docker run`', [hyper, docker], 'client');
  },
};
