import { ApiClient } from './api-client.ts';
import { readerGone, reportError } from './cli-error.ts';
import { parseRunCall, type RunCall } from './commands/run-call.ts';
import { parseVersionCall, printVersion } from './commands/version.ts';
import { chooseHost, packageVersion } from './config.ts';

/** `hyper`: runs and versions at once, everything else with commander and the commands loaded. */
async function main(args: readonly string[]): Promise<void> {
  const runCall = parseRunCall(args);
  if (runCall !== null) {
    // It makes stdout when there is output: that takes milliseconds, which the request need not wait for.
    process.exitCode = await run(runCall);
    return;
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? readerGone : 1);
  });
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

async function run({ host, image, command, options }: RunCall): Promise<number> {
  const { runInForeground } = await import('./commands/run-foreground.ts');
  return runInForeground(new ApiClient(chooseHost(host)), image, command, options);
}

main(process.argv.slice(2)).catch((thrown: unknown) => {
  process.exitCode = reportError(thrown);
});
