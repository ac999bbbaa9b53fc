import { once } from 'node:events';
import path from 'node:path';

import { Command } from 'commander';

import { spawnProcess } from '../../hyperd/base/subprocess.ts';
import { packageRoot } from '../config.ts';

/** `hyper daemon`: hyperd in the foreground; its flags are passed on as they are. */
export function daemonCommand(): Command {
  return new Command('daemon')
    .description('run hyperd in the foreground (hyper daemon --help shows its flags)')
    .argument('[flags...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (flags: string[]) => {
      const script = path.join(packageRoot, 'setup/daemon.ts');
      const hyperd = spawnProcess(process.execPath, [script, ...flags], { stdio: 'inherit' });
      const [code] = (await once(hyperd, 'exit')) as [number | null];
      process.exitCode = code ?? 1;
    });
}
