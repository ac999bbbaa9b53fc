import { once } from 'node:events';
import path from 'node:path';

import { Command } from 'commander';

import { spawnProcess } from '../../hyperd/base/subprocess.ts';

/** `hyper daemon`: hyperd in the foreground; its flags are passed on as they are. */
export function daemonCommand(): Command {
  return new Command('daemon')
    .description('run hyperd in the foreground (hyper daemon --help shows its flags)')
    .argument('[flags...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (flags: string[]) => {
      const main = path.join(import.meta.dirname, '..', 'setup/daemon.ts');
      const source = path.join(import.meta.dirname, '../..', 'setup/daemon.ts');
      const script = import.meta.dirname.endsWith('commands') ? source : main;
      const hyperd = spawnProcess(process.execPath, [script, ...flags], { stdio: 'inherit' });
      const [code] = (await once(hyperd, 'exit')) as [number | null];
      process.exitCode = code ?? 1;
    });
}
