import { chooseHost, packageVersion } from '../config.ts';
import { quickGet } from '../quick-get.ts';

export interface VersionOptions {
  readonly host?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Our own version, then the daemon's; rejects when that is not reachable, with ours printed as docker does. */
export async function printVersion(options: VersionOptions): Promise<void> {
  const version = packageVersion();
  const isJson = options.json === true;
  if (!isJson) process.stdout.write(`hyper ${version}\n`);
  let server: Readonly<Record<string, unknown>> | null = null;
  try {
    server = await quickGet(chooseHost(options.host), '/hyper/version');
  } finally {
    if (isJson) {
      process.stdout.write(`${JSON.stringify({ Client: { Version: version }, Server: server })}\n`);
    }
  }
  if (isJson) return;
  const lines = Object.entries(server ?? {}).map(
    ([name, value]) => `  ${name}: ${String(value)}\n`,
  );
  process.stdout.write(`hyperd:\n${lines.join('')}`);
}

/**
 * The options of a call that asks for versions alone; null for any other, which commander judges.
 * Loading commander takes longer than answering.
 */
export function parseVersionCall(args: readonly string[]): VersionOptions | null {
  const hasHost = args[0] === '-H' || args[0] === '--host';
  const [verb, ...flags] = hasHost ? args.slice(2) : args;
  if (verb !== 'version' || flags.some((flag) => flag !== '--json')) return null;
  return { host: hasHost ? args[1] : undefined, json: flags.length > 0 };
}
