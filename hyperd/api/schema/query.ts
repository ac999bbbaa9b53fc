import Type from 'typebox';

import { HyperError } from '../../base/error.ts';

const QueryValues = Type.Optional(Type.Array(Type.String()));

/** A query as the parser gives it: every value that a name was given, in order. */
export type Query = Readonly<Record<string, readonly string[]>>;

/** Schema of a route's query: the names it knows; others are ignored, as Docker does. */
export function querySchema<const Name extends string>(...names: Name[]) {
  const properties = Object.fromEntries(names.map((name) => [name, QueryValues]));
  return Type.Object(properties as Record<Name, typeof QueryValues>);
}

/** Splits a query string, keeping repeated names. */
export function parseQuery(text: string): Query {
  const query: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of new URLSearchParams(text)) {
    (query[name] ??= []).push(value);
  }
  return query;
}

type Values = readonly string[] | undefined;

/** The first value, '' when there is none. */
export function textParameter(values: Values): string {
  return values?.[0] ?? '';
}

/** Docker's reading of a flag: everything is true but nothing, 0, no, false and none. */
export function flagParameter(values: Values, whenAbsent = false): boolean {
  if (values === undefined) {
    return whenAbsent;
  }
  return !['', '0', 'no', 'false', 'none'].includes(textParameter(values).trim().toLowerCase());
}

/** A decimal whole number; null when absent. */
export function integerParameter(values: Values, name: string): number | null {
  const text = textParameter(values);
  if (text === '') {
    return null;
  }
  const value = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new HyperError('INVALID_ARGUMENT', `${name}: "${text}" is not a whole number`);
  }
  return value;
}

/** A Unix time in seconds with an optional fraction, as nanoseconds; null when absent or 0. */
export function timestampParameter(values: Values, name: string): bigint | null {
  const text = textParameter(values);
  if (text === '' || text === '0') {
    return null;
  }
  const parts = /^(-?\d{1,12})(?:\.(\d{1,9})\d*)?$/.exec(text);
  if (parts?.[1] === undefined) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `invalid value for "${name}": "${text}" is not a Unix time in seconds`,
    );
  }
  return BigInt(parts[1]) * 1_000_000_000n + BigInt((parts[2] ?? '').padEnd(9, '0'));
}
