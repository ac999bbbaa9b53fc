/** Checks of untrusted values; a failure names the field. */
export class ParseError extends Error {
  readonly #field: string;
  readonly #wanted: string;

  constructor(field: string, wanted: string) {
    super(`${field}: ${wanted} is wanted`);
    this.name = 'ParseError';
    this.#field = field;
    this.#wanted = wanted;
  }

  /**
   * The same error, told by whoever checked what the field is in. So a name is put together only when
   * something is wrong: the agent checks hundreds of fields in the path of a start.
   */
  inside(container: string): ParseError {
    return new ParseError(`${container}${this.#field}`, this.#wanted);
  }
}

function inside(container: string, thrown: unknown): unknown {
  return thrown instanceof ParseError ? thrown.inside(container) : thrown;
}

/** Turns an unknown value into a T or throws ParseError; `field` names the value in whatever it is a part of. */
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
    const items: T[] = [];
    try {
      for (const item of value as unknown[]) items.push(check(item, ''));
    } catch (thrown) {
      throw inside(`${field}[${String(items.length)}]`, thrown);
    }
    return items;
  };
}

export function record<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value, field) => {
    const entries = Object.entries(object(value, field));
    if (entries.length > maxListLength) throw new ParseError(field, 'fewer entries');
    try {
      return Object.fromEntries(entries.map(([name, item]) => [name, check(item, `.${name}`)]));
    } catch (thrown) {
      throw inside(field, thrown);
    }
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
  const fields = names.map((name) => ({ name, label: `.${name}`, check: checks[name] }));
  return (value, field) => {
    const source = object(value, field);
    const result: Partial<T> = {};
    try {
      for (const { name, label, check } of fields) result[name] = check(source[name], label);
    } catch (thrown) {
      throw inside(field, thrown);
    }
    return result as T;
  };
}

export function object(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ParseError(field, 'an object');
  }
  return value as Readonly<Record<string, unknown>>;
}
