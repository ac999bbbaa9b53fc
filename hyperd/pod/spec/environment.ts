import { HyperError } from '../../base/error.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The environment of a container's first process: Docker's own variables, overridden by the config's. */
export function containerEnvironment(
  hostname: string,
  tty: boolean,
  configured: readonly string[],
): readonly string[] {
  const own = [`PATH=${defaultPath}`, `HOSTNAME=${hostname}`, ...(tty ? ['TERM=xterm'] : [])];
  return overrideEnvironment(own, configured);
}

/** Entries replace those of the same name; a name without `=` removes it. */
export function overrideEnvironment(
  base: readonly string[],
  overrides: readonly string[],
): readonly string[] {
  const result = new Map(base.map((entry) => [nameOf(entry), entry]));
  for (const entry of overrides) {
    const name = nameOf(entry);
    if (name === '') {
      throw new HyperError('INVALID_ARGUMENT', `invalid environment variable: ${entry}`);
    }
    if (entry.includes('=')) result.set(name, entry);
    else result.delete(name);
  }
  return [...result.values()];
}

function nameOf(entry: string): string {
  return entry.split('=', 1)[0] ?? '';
}
