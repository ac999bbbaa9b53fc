import { CliError } from '../cli-error.ts';

/** Docker's exit status of a run that fails by itself, not by its command. */
export const notStarted = 125;

/** What fails before there is a container is told from what the container exits with. */
export async function orNotStarted<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (thrown) {
    throw thrown instanceof CliError ? thrown.withExitCode(notStarted) : thrown;
  }
}

/** A failed start with Docker's exit status: a command that cannot be run has its own. */
export function toStartError(refusal: CliError): CliError {
  const isMissing = /executable file not found|no such file or directory/.test(refusal.message);
  const isForbidden = /permission denied|is a directory/.test(refusal.message);
  return refusal.withExitCode(isMissing ? 127 : isForbidden ? 126 : notStarted);
}

/** What the daemon warns of when it creates a container. */
export function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`WARNING: ${warning}\n`);
}
