/** The closed set of failures that cross a module border; `api/error-response.ts` maps them to HTTP. */
export type HyperErrorCode =
  | 'INVALID_ARGUMENT'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'INVALID_STATE'
  | 'UNSUPPORTED'
  | 'UNAVAILABLE'
  | 'TIMEOUT'
  | 'INTERNAL';

export interface HyperErrorOptions {
  readonly cause?: unknown;
  /** What the person can do about it; shown by the CLI beneath the message. */
  readonly hint?: string;
}

/**
 * A failure for people: the message says what was being done, to what, and why it failed.
 * Programmer errors stay plain `Error`.
 */
export class HyperError extends Error {
  readonly code: HyperErrorCode;
  readonly hint: string | undefined;

  constructor(code: HyperErrorCode, message: string, options: HyperErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HyperError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** True for a HyperError, of the given code when one is named. */
export function isHyperError(value: unknown, code?: HyperErrorCode): value is HyperError {
  return value instanceof HyperError && (code === undefined || value.code === code);
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** True for a Node system error with the given `code`, such as ENOENT. */
export function isErrno(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
