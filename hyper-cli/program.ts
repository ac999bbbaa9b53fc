import { Command, CommanderError } from 'commander';

import { ApiClient } from './api-client.ts';
import { completionCommands } from './commands/completion.ts';
import { containerCommands } from './commands/containers.ts';
import { daemonCommand } from './commands/daemon.ts';
import { doctorCommand } from './commands/doctor.ts';
import { imageCommands } from './commands/images.ts';
import { runCommands } from './commands/run.ts';
import { systemCommands } from './commands/system.ts';
import { chooseHost, packageVersion } from './config.ts';

/** Parses the arguments and runs the command; resolves to the exit status, unless the command fails. */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(args, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // commander has told it already; 125 is docker's status for its own faults.
    return thrown.exitCode === 0 ? 0 : 125;
  }
  return Number(process.exitCode ?? 0);
}

function buildProgram(): Command {
  const program = new Command('hyper')
    .description('containers in virtual machines of their own')
    .version(packageVersion())
    .option('-H, --host <url>', 'unix:///path or tcp://name:port of hyperd')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride();
  const host = (): string => chooseHost(program.opts<{ host?: string }>().host);
  const api = (): ApiClient => new ApiClient(host());
  const commands = [
    ...runCommands(api),
    ...containerCommands(api),
    ...imageCommands(api),
    ...systemCommands(api),
    doctorCommand(api),
    daemonCommand(),
    ...completionCommands(api, program),
  ];
  for (const command of commands) {
    program.addCommand(command.exitOverride().showSuggestionAfterError(), {
      hidden: command.name().startsWith('_'),
    });
  }
  return program;
}
