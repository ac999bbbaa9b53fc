import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import type { FastifyBaseLogger } from 'fastify';

import { HyperError } from '../base/error.ts';
import type { ContainerService } from '../pod/container-service.ts';
import { streamTypeOf } from './attach-options.ts';
import { toErrorResponse } from './error-response.ts';
import { rawStreamType } from './raw-stream.ts';
import { parseJsonBody } from './request-body.ts';

const bodyTimeoutMs = 30_000;

/** What requests need that leave HTTP. */
export interface HijackDependencies {
  readonly containers: ContainerService;
  readonly logger: FastifyBaseLogger;
  /** Aborts when the daemon shuts down. */
  readonly closing: AbortSignal;
}

/** Where a hijacked connection is and how its client asked for it. */
export interface HijackedConnection {
  readonly request: IncomingMessage;
  readonly connection: Duplex;
  /** True: answer 101 and Upgrade; false: the old form, 200. */
  readonly upgraded: boolean;
}

/** Answers that stdio follows, bare (`tty`) or framed; `headers` are whole lines. */
export function writeHead(
  { request, connection, upgraded }: HijackedConnection,
  tty: boolean,
  headers = '',
): void {
  connection.write(
    upgraded
      ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${streamTypeOf(request, tty)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${headers}\r\n`
      : `HTTP/1.1 200 OK\r\nContent-Type: ${rawStreamType}\r\n\r\n`,
  );
}

/** Answers an error as plain HTTP on a connection that left the HTTP server, and closes it. */
export function refuse(
  connection: Duplex,
  cause: unknown,
  logger: FastifyBaseLogger,
  headers = '',
): void {
  const { status, body } = toErrorResponse(cause, logger);
  const text = Buffer.from(`${JSON.stringify(body)}\n`);
  if (connection.destroyed || connection.writableEnded) {
    return;
  }
  connection.resume();
  connection.write(
    `HTTP/1.1 ${String(status)} ${reasonPhrase(status)}\r\nContent-Type: application/json\r\nContent-Length: ${String(text.length)}\r\nConnection: close\r\n${headers}\r\n`,
  );
  connection.end(text, () => connection.destroy());
}

function reasonPhrase(status: number): string {
  return status < 500 ? 'Refused' : 'Failed';
}

/** Reads the announced JSON body off the connection; what follows it is the process's stdin. */
export async function readBody(
  { request, connection }: HijackedConnection,
  maxBytes: number,
): Promise<unknown> {
  const length = Number(request.headers['content-length'] ?? '0');
  if (length > maxBytes) {
    throw new HyperError('INVALID_ARGUMENT', 'request body too large');
  }
  if (length === 0) {
    return undefined;
  }
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const take = (): void => {
    const bytes = connection.read(length) as Buffer | null;
    if (bytes !== null) {
      resolve(bytes);
    }
  };
  const fail = (): void => {
    reject(new HyperError('INVALID_ARGUMENT', 'the request ended before its body was complete'));
  };
  const deadline = setTimeout(fail, bodyTimeoutMs);
  connection.on('readable', take).once('end', fail).once('close', fail);
  take();
  try {
    return parseJsonBody((await promise).toString('utf8'), request.headers['content-type']);
  } finally {
    clearTimeout(deadline);
    connection.off('readable', take).off('end', fail).off('close', fail);
  }
}
