import { HyperError } from '../base/error.ts';

/** Filters of a list request: values by name. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/**
 * Parses the `filters` parameter in both of Docker's forms, `{"label":["a"]}` and
 * `{"label":{"a":true}}`. Throws INVALID_ARGUMENT for anything else and for a name not in `known`.
 */
export function parseFilters(text: string, known: readonly string[]): Filters {
  if (text === '') {
    return new Map();
  }
  const filters = new Map<string, readonly string[]>();
  for (const [name, values] of Object.entries(parseObject(text))) {
    if (!known.includes(name)) {
      throw new HyperError('INVALID_ARGUMENT', `invalid filter '${name}'`);
    }
    filters.set(name, filterValues(name, values));
  }
  return filters;
}

/** True when nothing is asked for under the name or one of its values passes. */
export function passesAny(
  filters: Filters,
  name: string,
  passes: (value: string) => boolean,
): boolean {
  const values = filters.get(name);
  return values === undefined || values.length === 0 || values.some(passes);
}

/** Docker's label filter: every `key` or `key=value` must be there. */
export function passesLabels(
  filters: Filters,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return (filters.get('label') ?? []).every((wanted) => {
    const equals = wanted.indexOf('=');
    return equals < 0
      ? labels?.[wanted] !== undefined
      : labels?.[wanted.slice(0, equals)] === wanted.slice(equals + 1);
  });
}

/** The value of a flag filter such as `dangling=true`; null when it is not given. */
export function flagFilter(filters: Filters, name: string): boolean | null {
  const value = filters.get(name)?.[0];
  if (value === undefined) {
    return null;
  }
  if (value === 'true' || value === '1') {
    return true;
  }
  if (value === 'false' || value === '0') {
    return false;
  }
  throw new HyperError('INVALID_ARGUMENT', `invalid filter '${name}=[${value}]'`);
}

function parseObject(text: string): object {
  const parsed = parseJson(text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new HyperError('INVALID_ARGUMENT', 'invalid filters: not a JSON object');
  }
  return parsed;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HyperError('INVALID_ARGUMENT', 'invalid filters: not JSON', { cause });
  }
}

function filterValues(name: string, values: unknown): readonly string[] {
  if (Array.isArray(values) && values.every((value) => typeof value === 'string')) {
    return values;
  }
  if (typeof values === 'object' && values !== null && !Array.isArray(values)) {
    return Object.entries(values)
      .filter(([, chosen]) => chosen === true)
      .map(([value]) => value);
  }
  throw new HyperError('INVALID_ARGUMENT', `invalid filter '${name}': not a list of strings`);
}
