import { CliError } from '../cli-error.ts';

/** Docker's `filters` parameter from `name=value` words; undefined when there are none. */
export function filterQuery(filters: readonly string[] | undefined): string | undefined {
  if (filters === undefined || filters.length === 0) return undefined;
  const map: Record<string, string[]> = {};
  for (const filter of filters) {
    const equals = filter.indexOf('=');
    if (equals <= 0) throw new CliError(`--filter: "${filter}" is not name=value`);
    const name = filter.slice(0, equals);
    map[name] = [...(map[name] ?? []), filter.slice(equals + 1)];
  }
  return JSON.stringify(map);
}
