import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import path from 'node:path';

import { Command, CommanderError } from 'commander';

import { ApiClient, CliError, defaultHost } from './api-client.ts';
import { completionCommands } from './commands/completion.ts';
import { containerCommands } from './commands/containers.ts';
import { daemonCommand } from './commands/daemon.ts';
import { doctorCommand } from './commands/doctor.ts';
import { imageCommands } from './commands/images.ts';
import { runCommands } from './commands/run.ts';
import { systemCommands } from './commands/system.ts';

enableCompileCache();

const packageFile = path.join(import.meta.dirname, '../package.json');
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
const program = new Command('hyper')
  .description('containers in virtual machines of their own')
  .version(version)
  .option('-H, --host <url>', 'unix:///path or tcp://name:port of hyperd')
  .enablePositionalOptions()
  .showSuggestionAfterError()
  .exitOverride();

function api(): ApiClient {
  const { host } = program.opts<{ host?: string }>();
  return new ApiClient(
    host ?? process.env['HYPER_HOST'] ?? process.env['DOCKER_HOST'] ?? defaultHost,
  );
}

const commands = [
  ...runCommands(api),
  ...containerCommands(api),
  ...imageCommands(api),
  ...systemCommands(api, version),
  doctorCommand(api),
  daemonCommand(),
  ...completionCommands(api, program),
];
for (const command of commands) {
  program.addCommand(command.exitOverride().showSuggestionAfterError(), {
    hidden: command.name().startsWith('_'),
  });
}

try {
  await program.parseAsync();
} catch (thrown) {
  process.exitCode = report(thrown);
}

function report(thrown: unknown): number {
  // commander has told it already.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 125;
  if (!(thrown instanceof CliError)) {
    process.stderr.write(`hyper: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return 1;
  }
  const hint = thrown.hint === undefined ? '' : `  ${thrown.hint}\n`;
  process.stderr.write(`hyper: ${thrown.message}\n${hint}`);
  return thrown.exitCode;
}
