import { HyperError, messageOf } from '../base/error.ts';

/** A fault that may be over at the next attempt. */
export class PassingError extends HyperError {
  /** How long the registry asks us to wait; 0 when it does not say. */
  readonly pauseMs: number;

  constructor(
    message: string,
    options: { readonly cause?: unknown; readonly pauseMs?: number } = {},
  ) {
    super('UNAVAILABLE', message, { cause: options.cause });
    this.pauseMs = options.pauseMs ?? 0;
  }
}

/** Nothing spoke HTTP with us: the same registry may answer at another address or without TLS. */
export class ConnectionError extends PassingError {}

/** First error of a registry's answer (distribution spec, "Error Codes"): `MANIFEST_UNKNOWN`. */
export interface RegistryFault {
  readonly code: string;
  /** As Docker words it: `manifest unknown: manifest unknown`. */
  readonly text: string;
}

export function parseFault(body: string): RegistryFault | null {
  try {
    const { errors } = JSON.parse(body) as { errors?: unknown };
    const first: unknown = Array.isArray(errors) ? errors[0] : null;
    if (typeof first !== 'object' || first === null) return null;
    const { code, message } = first as { code?: unknown; message?: unknown };
    if (typeof code !== 'string') return null;
    const words = code.toLowerCase().replaceAll('_', ' ');
    return { code, text: `${words}: ${typeof message === 'string' ? message : words}` };
  } catch {
    return null;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name cannot be resolved now',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'i/o timeout',
  UND_ERR_CONNECT_TIMEOUT: 'i/o timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout while waiting for the answer',
  UND_ERR_BODY_TIMEOUT: 'timeout while reading the answer',
  UND_ERR_SOCKET: 'the connection was closed',
  EPROTO: 'http: server gave HTTP response to HTTPS client',
  ERR_SSL_WRONG_VERSION_NUMBER: 'http: server gave HTTP response to HTTPS client',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'http: server gave HTTP response to HTTPS client',
};

/** True when the other side answered, but is not who it should be: asking again changes nothing. */
export function isCertificateFault(thrown: unknown): boolean {
  return /CERT|UNABLE_TO_(GET|VERIFY)/.test(codeOf(thrown));
}

/** Why a connection failed, in a few words. */
export function networkReason(thrown: unknown): string {
  const reason = reasons[codeOf(thrown)] ?? messageOf(firstOf(thrown));
  return isCertificateFault(thrown) ? `tls: failed to verify certificate: ${reason}` : reason;
}

function codeOf(thrown: unknown): string {
  const first = firstOf(thrown);
  return first instanceof Error && 'code' in first ? String(first.code) : '';
}

/** A name with several addresses fails once for each. */
function firstOf(thrown: unknown): unknown {
  return thrown instanceof AggregateError ? thrown.errors[0] : thrown;
}
