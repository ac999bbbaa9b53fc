import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

import { HyperError } from '../../base/error.ts';

/** Turns untrusted JSON into a checked value, or throws INVALID_ARGUMENT naming the field. */
export type Parse = (value: unknown) => unknown;

const compiled = new WeakMap<TSchema, Parse>();

/**
 * A parser for a schema that reads objects as Docker does: field names regardless of case, `null`
 * means absent, unknown fields are dropped. Nothing is coerced.
 */
export function compileSchema(schema: TSchema): Parse {
  const known = compiled.get(schema);
  if (known !== undefined) {
    return known;
  }
  const validator = Compile(schema);
  const parse = (value: unknown): unknown => {
    const selected = selectKnown(schema, value);
    if (validator.Check(selected)) {
      return selected;
    }
    const fault = validator.Errors(selected)[0];
    const path = fault?.instancePath.slice(1).replaceAll('/', '.') ?? '';
    const where = path === '' ? '' : `${path}: `;
    throw new HyperError(
      'INVALID_ARGUMENT',
      `invalid JSON: ${where}${fault?.message ?? 'invalid'}`,
    );
  };
  compiled.set(schema, parse);
  return parse;
}

interface SchemaShape {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly patternProperties?: Readonly<Record<string, TSchema>>;
  readonly items?: TSchema | readonly TSchema[];
  readonly anyOf?: readonly TSchema[];
}

function selectKnown(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const shape = shapeFor(schema, Array.isArray(value) ? 'array' : 'object');
  if (Array.isArray(value)) {
    const { items } = shape;
    return items === undefined || isTuple(items)
      ? value
      : value.map((item: unknown) => selectKnown(items, item));
  }
  if (shape.properties !== undefined) {
    return selectProperties(shape.properties, value);
  }
  const valueSchema = Object.values(shape.patternProperties ?? {})[0];
  return valueSchema === undefined
    ? value
    : Object.fromEntries(
        Object.entries(value).map(([name, field]) => [name, selectKnown(valueSchema, field)]),
      );
}

/** Of a union, the choice that a value of this type is for. */
function shapeFor(schema: SchemaShape, type: 'array' | 'object'): SchemaShape {
  return schema.anyOf?.find((choice: SchemaShape) => choice.type === type) ?? schema;
}

function isTuple(items: TSchema | readonly TSchema[]): items is readonly TSchema[] {
  return Array.isArray(items);
}

function selectProperties(properties: Readonly<Record<string, TSchema>>, value: object): object {
  const exact = new Map<string, unknown>(Object.entries(value));
  const folded = new Map([...exact].map(([name, field]) => [name.toLowerCase(), field]));
  const selected: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(properties)) {
    const field = exact.has(name) ? exact.get(name) : folded.get(name.toLowerCase());
    if (field !== undefined && field !== null) {
      selected[name] = selectKnown(schema, field);
    }
  }
  return selected;
}
