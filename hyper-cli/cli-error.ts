/** A failure that a person can act on; printed as `hyper: message` with the hint beneath. */
export class CliError extends Error {
  readonly hint: string | undefined;
  readonly exitCode: number;
  readonly status: number | undefined;

  constructor(
    message: string,
    options: { hint?: string; exitCode?: number; status?: number } = {},
  ) {
    super(message);
    this.name = 'CliError';
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 1;
    this.status = options.status;
  }

  /** The same failure with another exit status of ours. */
  withExitCode(exitCode: number): CliError {
    const { hint, status } = this;
    return new CliError(this.message, {
      exitCode,
      ...(hint === undefined ? {} : { hint }),
      ...(status === undefined ? {} : { status }),
    });
  }
}

/** Nobody answers at the host; `cause` is the socket's error. */
export function connectError(host: string, cause: Error): CliError {
  const why = 'code' in cause ? String(cause.code) : cause.message;
  return new CliError(`cannot reach hyperd at ${host}: ${why}`, {
    hint: 'start it with `npm run daemon` (or `hyperd`), or name another one with --host or HYPER_HOST',
  });
}

/** What a person reads of a failed request: the daemon's own message when the body has one. */
export function responseError(status: number, body: string): CliError {
  try {
    const { message } = JSON.parse(body) as { message?: string };
    return new CliError(message ?? body, { status });
  } catch {
    return new CliError(`hyperd answered ${String(status)}: ${body.slice(0, 500)}`, { status });
  }
}

/** What a shell reports of a program that SIGPIPE ended. */
export const readerGone = 141;

/** The reader of our output has gone, as `head` does when it has enough: no failure to tell of. */
export class ReaderGone extends Error {}

/** Prints why a command failed; returns the exit status. */
export function reportError(thrown: unknown): number {
  if (thrown instanceof ReaderGone) return readerGone;
  if (!(thrown instanceof CliError)) {
    process.stderr.write(`hyper: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return 1;
  }
  const hint = thrown.hint === undefined ? '' : `  ${thrown.hint}\n`;
  process.stderr.write(`hyper: ${thrown.message}\n${hint}`);
  return thrown.exitCode;
}
