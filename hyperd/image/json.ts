import { HyperError } from '../base/error.ts';

/** Checked access to untrusted JSON; every fault names its field. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function parseJson(bytes: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new HyperError('INVALID_ARGUMENT', `${what}: it is not JSON`, { cause });
  }
  return asObject(value, what);
}

export function asObject(value: unknown, field: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HyperError('INVALID_ARGUMENT', `${field}: an object is wanted`);
  }
  return value as JsonObject;
}

/** An array of at most `max` items; absent and null are empty. */
export function asArray(value: unknown, field: string, max = 10_000): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > max) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `${field}: a list of at most ${String(max)} is wanted`,
    );
  }
  return value as readonly unknown[];
}

export function asString(value: unknown, field: string, absent = ''): string {
  if (value === undefined || value === null) return absent;
  if (typeof value !== 'string') {
    throw new HyperError('INVALID_ARGUMENT', `${field}: a string is wanted`);
  }
  return value;
}

export function asStrings(value: unknown, field: string): readonly string[] {
  return asArray(value, field).map((item, index) => asString(item, `${field}[${String(index)}]`));
}

export function asSize(value: unknown, field: string): number {
  if (!Number.isSafeInteger(value) || Number(value) < 0) {
    throw new HyperError('INVALID_ARGUMENT', `${field}: a size in bytes is wanted`);
  }
  return Number(value);
}
