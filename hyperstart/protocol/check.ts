/** Checks of untrusted values; a failure names the field. */
export class ParseError extends Error {
  constructor(field: string, wanted: string) {
    super(`${field}: ${wanted} is wanted`);
    this.name = 'ParseError';
  }
}

/** Turns an unknown value into a T or throws ParseError. */
export type Check<T> = (value: unknown, field: string) => T;

export const maxTextLength = 256 * 1024;
export const maxListLength = 10_000;

export const text: Check<string> = (value, field) => {
  if (typeof value !== 'string' || value.length > maxTextLength) {
    throw new ParseError(field, `a string of at most ${String(maxTextLength)} characters`);
  }
  return value;
};

export const bool: Check<boolean> = (value, field) => {
  if (typeof value !== 'boolean') throw new ParseError(field, 'true or false');
  return value;
};

/** Any finite number. */
export const number: Check<number> = (value, field) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new ParseError(field, 'a number');
  return value;
};

/** A whole number within bounds. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): Check<number> {
  return (value, field) => {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw new ParseError(field, `a whole number from ${String(min)} to ${String(max)}`);
    }
    return value as number;
  };
}

export const count = integer(0);

export function nullable<T>(check: Check<T>): Check<T | null> {
  return (value, field) => (value === null ? null : check(value, field));
}

export function list<T>(check: Check<T>, max = maxListLength): Check<readonly T[]> {
  return (value, field) => {
    if (!Array.isArray(value) || value.length > max) {
      throw new ParseError(field, `a list of at most ${String(max)}`);
    }
    return value.map((item: unknown, index) => check(item, `${field}[${String(index)}]`));
  };
}

export function record<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value, field) => {
    const entries = Object.entries(object(value, field));
    if (entries.length > maxListLength) throw new ParseError(field, 'fewer entries');
    return Object.fromEntries(
      entries.map(([name, item]) => [name, check(item, `${field}.${name}`)]),
    );
  };
}

export function oneOf<T extends string>(...words: readonly T[]): Check<T> {
  return (value, field) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw new ParseError(field, `one of ${words.join(', ')}`);
    return found;
  };
}

/** An object with exactly these fields; others are dropped. */
export function shape<T extends object>(checks: {
  readonly [K in keyof T]: Check<T[K]>;
}): Check<T> {
  const names = Object.keys(checks) as (keyof T & string)[];
  return (value, field) => {
    const source = object(value, field);
    return Object.fromEntries(
      names.map((name) => [name, checks[name](source[name], `${field}.${name}`)]),
    ) as T;
  };
}

export function object(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ParseError(field, 'an object');
  }
  return value as Readonly<Record<string, unknown>>;
}
