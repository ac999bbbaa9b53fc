import type { FastifyBaseLogger } from 'fastify';

import { HyperError, type HyperErrorCode, isHyperError } from '../base/error.ts';

/** The one place where failures become HTTP. */
export const httpStatusOf = {
  INVALID_ARGUMENT: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  INVALID_STATE: 409,
  UNSUPPORTED: 501,
  UNAVAILABLE: 503,
  TIMEOUT: 504,
  INTERNAL: 500,
} as const satisfies Record<HyperErrorCode, number>;

export interface ErrorResponse {
  readonly status: number;
  readonly body: ErrorBody;
}

/** Docker's error body; `hint` is ours, other clients ignore it. */
export interface ErrorBody {
  readonly message: string;
  readonly hint?: string;
}

/** Docker's answer for a path that is no route. */
export const pageNotFound: ErrorResponse = { status: 404, body: { message: 'page not found' } };

const unexpected: ErrorResponse = {
  status: 500,
  body: { message: 'unexpected failure in hyperd: see its log' },
};

/** What the client is told. The cause of anything but a HyperError goes to the log alone. */
export function toErrorResponse(thrown: unknown, logger: FastifyBaseLogger): ErrorResponse {
  if (isHyperError(thrown)) {
    if (thrown.code === 'INTERNAL') {
      logger.error({ err: thrown }, thrown.message);
    }
    const hint = thrown.hint === undefined ? {} : { hint: thrown.hint };
    return { status: httpStatusOf[thrown.code], body: { message: thrown.message, ...hint } };
  }
  const refusal = fastifyRefusal(thrown);
  if (refusal !== null) {
    return refusal;
  }
  logger.error({ err: thrown }, 'unexpected failure while answering a request');
  return unexpected;
}

/** Fastify's own refusals (body too large, bad path) carry a status below 500. */
function fastifyRefusal(thrown: unknown): ErrorResponse | null {
  if (!(thrown instanceof Error) || thrown instanceof HyperError || !('statusCode' in thrown)) {
    return null;
  }
  const { statusCode } = thrown;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? { status: statusCode, body: { message: thrown.message } }
    : null;
}
