import { Command, CommanderError } from 'commander';

import { ApiClient } from './api-client.ts';
import { reportError } from './cli-error.ts';
import { chooseHost, packageVersion } from './config.ts';

/** What commands are made with. */
interface Context {
  readonly api: () => ApiClient;
  readonly program: Command;
}

interface CommandGroup {
  readonly verbs: readonly string[];
  readonly load: (context: Context) => Promise<readonly Command[]>;
}

/** The commands by the module that makes them: only the one that is called is loaded. */
export const commandGroups: readonly CommandGroup[] = [
  {
    verbs: ['run', 'create'],
    load: async ({ api }) => (await import('./commands/run.ts')).runCommands(api),
  },
  {
    verbs: [
      ...['ps', 'logs', 'exec', 'attach', 'inspect', 'start', 'stop', 'restart', 'kill'],
      ...['pause', 'unpause', 'rm', 'wait'],
    ],
    load: async ({ api }) => (await import('./commands/containers.ts')).containerCommands(api),
  },
  {
    verbs: ['images', 'pull', 'load', 'tag', 'rmi'],
    load: async ({ api }) => (await import('./commands/images.ts')).imageCommands(api),
  },
  {
    verbs: ['version', 'info', 'events', 'vm'],
    load: async ({ api }) => (await import('./commands/system.ts')).systemCommands(api),
  },
  {
    verbs: ['stats'],
    load: async ({ api }) => [(await import('./commands/stats.ts')).statsCommand(api)],
  },
  {
    verbs: ['doctor'],
    load: async ({ api }) => [(await import('./commands/doctor.ts')).doctorCommand(api)],
  },
  {
    verbs: ['daemon'],
    load: async () => [(await import('./commands/daemon.ts')).daemonCommand()],
  },
  {
    // `__complete` looks at all of them: it is in no group that is loaded alone.
    verbs: ['completion'],
    load: async ({ api, program }) =>
      (await import('./commands/completion.ts')).completionCommands(api, program),
  },
];

/** Parses the arguments and runs the command; resolves to the exit status when a failure has been told, too. */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    const program = await buildProgram(groupsFor(args));
    await program.parseAsync(args, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) return reportError(thrown);
    // commander has told it already; 125 is docker's status for its own faults.
    return thrown.exitCode === 0 ? 0 : 125;
  }
  return Number(process.exitCode ?? 0);
}

/** The group of the command that is called; all of them when that is not plain to see. */
function groupsFor(args: readonly string[]): readonly CommandGroup[] {
  const hasHost = args[0] === '-H' || args[0] === '--host';
  const verb = args[hasHost ? 2 : 0] ?? '';
  const group = commandGroups.find(({ verbs }) => verbs.includes(verb));
  return group === undefined ? commandGroups : [group];
}

async function buildProgram(groups: readonly CommandGroup[]): Promise<Command> {
  const program = new Command('hyper')
    .description('containers in virtual machines of their own')
    .version(packageVersion())
    .option('-H, --host <url>', 'unix:///path or tcp://name:port of hyperd')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride();
  const host = (): string => chooseHost(program.opts<{ host?: string }>().host);
  const api = (): ApiClient => new ApiClient(host());
  const loaded = await Promise.all(groups.map((group) => group.load({ api, program })));
  for (const command of loaded.flat()) {
    program.addCommand(command.exitOverride().showSuggestionAfterError(), {
      hidden: command.name().startsWith('_'),
    });
  }
  return program;
}
