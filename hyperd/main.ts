import { once } from 'node:events';

import { pino } from 'pino';

import { isHyperError, messageOf } from './base/error.ts';
import { helpText, readCommandLine } from './config.ts';
import { startDaemon } from './daemon.ts';
import { hyperVersion } from './system-facts.ts';

/** hyperd: reads its flags, serves until SIGTERM or SIGINT, and leaves the VMs running. */
async function main(): Promise<void> {
  const commandLine = await readCommandLine(process.argv.slice(2));
  if (commandLine.action === 'help') {
    process.stdout.write(helpText());
    return;
  }
  if (commandLine.action === 'version') {
    process.stdout.write(`hyperd ${await hyperVersion()}\n`);
    return;
  }
  const { config } = commandLine;
  const logger = pino({ level: config.logLevel, base: null }, pino.destination(2));
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  const daemon = await startDaemon(config, logger);
  await stopped;
  logger.info('hyperd ends; running VMs go on and the next hyperd takes them over');
  await daemon[Symbol.asyncDispose]();
}

try {
  await main();
  process.exit(0);
} catch (cause) {
  const hint = isHyperError(cause) && cause.hint !== undefined ? `\n  ${cause.hint}` : '';
  process.stderr.write(`hyperd: ${messageOf(cause)}${hint}\n`);
  process.exit(1);
}
