import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Static } from 'typebox';

import type { FastifyBaseLogger } from 'fastify';

import { HyperError, messageOf } from '../base/error.ts';
import type { ContainerService } from '../pod/container-service.ts';
import { assertApiVersion, apiVersionOf, takeApiVersion } from './api-version.ts';
import { parseAttachQuery, parseExecStart, streamTypeOf } from './attach-options.ts';
import { toErrorResponse } from './error-response.ts';
import { encoderFor, rawStreamType, toFrame } from './raw-stream.ts';
import { parseJsonBody } from './request-body.ts';
import { compileSchema } from './schema/compile.ts';
import { AttachQuery } from './schema/container.ts';
import { ExecStartBody } from './schema/exec.ts';
import { parseQuery } from './schema/query.ts';
import { pumpSession } from './stdio-pump.ts';
import { createWebsocketAttach } from './websocket-attach.ts';

const maxBodyBytes = 64 * 1024;
const bodyTimeoutMs = 30_000;

const attachPath = /^(?:\/v[0-9.]+)?\/containers\/([^/?]+)\/attach(?:\?|$)/;
const websocketPath = /^(?:\/v[0-9.]+)?\/containers\/([^/?]+)\/attach\/ws(?:\?|$)/;
const execStartPath = /^(?:\/v[0-9.]+)?\/exec\/([^/?]+)\/start(?:\?|$)/;

export interface HijackDependencies {
  readonly containers: ContainerService;
  readonly logger: FastifyBaseLogger;
}

/** Where a hijacked connection is and how its client asked for it. */
export interface HijackedConnection {
  readonly request: IncomingMessage;
  readonly connection: Duplex;
  /** True: answer 101 and Upgrade; false: the old form, 200. */
  readonly upgraded: boolean;
}

/**
 * True for the requests that must leave HTTP. Others that merely offer an upgrade (`h2c` comes with
 * every request of some clients) are served as if they had not; so is a chunked body, which nobody
 * decodes on this path.
 */
export function shouldUpgrade(request: IncomingMessage): boolean {
  const url = request.url ?? '';
  const protocol = request.headers.upgrade?.toLowerCase();
  if (request.method === 'GET') {
    return protocol === 'websocket' && websocketPath.test(url);
  }
  return (
    request.method === 'POST' &&
    protocol !== 'h2c' &&
    request.headers['transfer-encoding'] === undefined &&
    (attachPath.test(url) || execStartPath.test(url))
  );
}

/** The handler of a server's `upgrade` event: attach, attach/ws and exec start, after the same checks as routes. */
export function createUpgradeHandler(
  dependencies: HijackDependencies,
): (request: IncomingMessage, connection: Duplex, head: Buffer) => void {
  const attachWebsocket = createWebsocketAttach(dependencies.containers);
  const handle = async (
    request: IncomingMessage,
    connection: Duplex,
    head: Buffer,
  ): Promise<void> => {
    const path = takeApiVersion(request);
    assertApiVersion(apiVersionOf(request));
    const websocketTarget = websocketPath.exec(path)?.[1];
    if (websocketTarget !== undefined) {
      await attachWebsocket({ request, connection, head }, decodeName(websocketTarget));
      return;
    }
    if (head.length > 0) {
      connection.unshift(head);
    }
    const hijacked = { request, connection, upgraded: true };
    const body = await readBody(request, connection);
    const attachTarget = attachPath.exec(path)?.[1];
    if (attachTarget !== undefined) {
      const query = compileSchema(AttachQuery)(parseQuery(path.split('?')[1] ?? ''));
      const parsed = query as Static<typeof AttachQuery>;
      await hijackAttach(dependencies, decodeName(attachTarget), { hijacked, query: parsed });
      return;
    }
    const parsed =
      body === undefined ? undefined : (compileSchema(ExecStartBody)(body) as ExecStart);
    const execId = decodeName(execStartPath.exec(path)?.[1] ?? '');
    await hijackExecStart(dependencies, execId, { hijacked, body: parsed });
  };
  return (request, connection, head) => {
    connection.on('error', () => undefined);
    handle(request, connection, head).catch((cause: unknown) => {
      refuse(connection, cause, dependencies.logger);
    });
  };
}

type ExecStart = Static<typeof ExecStartBody>;

/** Attaches a client. Rejects before any byte is answered when the container refuses. */
export async function hijackAttach(
  { containers }: HijackDependencies,
  nameOrId: string,
  attach: { readonly hijacked: HijackedConnection; readonly query: Static<typeof AttachQuery> },
): Promise<void> {
  const { hijacked, query } = attach;
  const session = await containers.attach(nameOrId, parseAttachQuery(query));
  writeHead(hijacked, session.tty);
  await pumpSession(session, hijacked.connection, encoderFor(session.tty));
}

/**
 * Starts an exec on a client's connection. The connection is answered before the start, as Docker
 * does: a command that cannot run is told in the stream, and the client asks for the exit code.
 */
export async function hijackExecStart(
  { containers }: HijackDependencies,
  execId: string,
  exec: { readonly hijacked: HijackedConnection; readonly body: ExecStart | undefined },
): Promise<void> {
  const { hijacked } = exec;
  const { connection, request } = hijacked;
  const options = parseExecStart(exec.body, request);
  containers.getExec(execId);
  if (options.detach) {
    await containers.startExec(execId, options);
    connection.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  writeHead(hijacked, options.tty);
  try {
    const session = await containers.startExec(execId, options);
    if (session === null) {
      connection.end();
      return;
    }
    await pumpSession(session, connection, encoderFor(options.tty));
  } catch (cause) {
    const text = Buffer.from(`${messageOf(cause)}\r\n`);
    connection.end(options.tty ? text : toFrame({ stream: 'stdout', bytes: text }));
  }
}

function writeHead({ request, connection, upgraded }: HijackedConnection, tty: boolean): void {
  connection.write(
    upgraded
      ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${streamTypeOf(request, tty)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
      : `HTTP/1.1 200 OK\r\nContent-Type: ${rawStreamType}\r\n\r\n`,
  );
}

/** Answers an error as plain HTTP on a connection that left the HTTP server, and closes it. */
export function refuse(connection: Duplex, cause: unknown, logger: FastifyBaseLogger): void {
  const { status, body } = toErrorResponse(cause, logger);
  const text = Buffer.from(`${JSON.stringify(body)}\n`);
  if (connection.destroyed || connection.writableEnded) {
    return;
  }
  connection.resume();
  connection.write(
    `HTTP/1.1 ${String(status)} ${reasonPhrase(status)}\r\nContent-Type: application/json\r\nContent-Length: ${String(text.length)}\r\nConnection: close\r\n\r\n`,
  );
  connection.end(text, () => connection.destroy());
}

function reasonPhrase(status: number): string {
  return status < 500 ? 'Refused' : 'Failed';
}

function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    throw new HyperError('INVALID_ARGUMENT', `"${encoded}": invalid URL escape`, { cause });
  }
}

/** Reads the announced JSON body off the connection; what follows it is the process's stdin. */
async function readBody(request: IncomingMessage, connection: Duplex): Promise<unknown> {
  const length = Number(request.headers['content-length'] ?? '0');
  if (length > maxBodyBytes) {
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
