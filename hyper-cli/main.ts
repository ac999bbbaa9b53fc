import { reportError } from './cli-error.ts';
import { parseVersionCall, printVersion } from './commands/version.ts';
import { packageVersion } from './config.ts';

/** `hyper`: versions at once, everything else with commander and the commands loaded. */
async function main(args: readonly string[]): Promise<void> {
  const versionCall = parseVersionCall(args);
  if (versionCall !== null) {
    await printVersion(versionCall);
  } else if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    process.stdout.write(`${packageVersion()}\n`);
  } else {
    const { runProgram } = await import('./program.ts');
    process.exitCode = await runProgram(args);
  }
}

/** What a shell reports of a program that SIGPIPE ended. */
const readerGone = 141;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader has gone, as `head` does when it has enough.
  process.exit(error.code === 'EPIPE' ? readerGone : 1);
});
main(process.argv.slice(2)).catch((thrown: unknown) => {
  process.exitCode = reportError(thrown);
});
