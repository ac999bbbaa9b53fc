import { CliError } from './cli-error.ts';

export const defaultHost = 'unix:///run/hyper/hyper.sock';

/** The daemon to talk to: of `--host`, else of the environment. */
export function hostOf(
  flag: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return flag ?? environment['HYPER_HOST'] ?? environment['DOCKER_HOST'] ?? defaultHost;
}

/** Where a connection goes, as node:net and node:http take it. */
export type HostAddress =
  { readonly path: string } | { readonly host: string; readonly port: number };

/** Parses `unix:///path` and `tcp://name:port`. */
export function parseHost(host: string): HostAddress {
  if (host.startsWith('unix://')) return { path: host.slice('unix://'.length) };
  const match = /^(?:tcp|http):\/\/(\[[^\]]+\]|[^:/]+):(\d+)\/?$/.exec(host);
  if (match === null) {
    throw new CliError(`host "${host}" is neither unix://PATH nor tcp://NAME:PORT`, {
      hint: `leave out --host to use ${defaultHost}`,
    });
  }
  return { host: match[1]?.replace(/^\[|\]$/g, '') ?? '', port: Number(match[2]) };
}
