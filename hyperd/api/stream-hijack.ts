import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Static } from 'typebox';

import { HyperError, messageOf } from '../base/error.ts';
import { assertApiVersion, apiVersionOf, takeApiVersion } from './api-version.ts';
import { parseAttachQuery, parseExecStart } from './attach-options.ts';
import {
  type HijackDependencies,
  type HijackedConnection,
  readBody,
  refuse,
  writeHead,
} from './hijacked-connection.ts';
import { partsFor, toFrame } from './raw-stream.ts';
import { maxBodyBytes } from './request-body.ts';
import { hijackRun } from './run-hijack.ts';
import { compileSchema } from './schema/compile.ts';
import { AttachQuery } from './schema/container.ts';
import { ExecStartBody } from './schema/exec.ts';
import { RunQuery } from './schema/hyper.ts';
import { parseQuery } from './schema/query.ts';
import { pumpSession } from './stdio-pump.ts';
import { createWebsocketAttach } from './websocket-attach.ts';

/** Of what is not a run: those bodies have next to nothing in them. */
const maxShortBodyBytes = 64 * 1024;

const attachPath = /^(?:\/v[0-9.]+)?\/containers\/([^/?]+)\/attach(?:\?|$)/;
const websocketPath = /^(?:\/v[0-9.]+)?\/containers\/([^/?]+)\/attach\/ws(?:\?|$)/;
const execStartPath = /^(?:\/v[0-9.]+)?\/exec\/([^/?]+)\/start(?:\?|$)/;
const runPath = /^(?:\/v[0-9.]+)?\/hyper\/run(?:\?|$)/;

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
    (attachPath.test(url) || execStartPath.test(url) || runPath.test(url))
  );
}

/**
 * The handler of a server's `upgrade` event: attach, attach/ws, exec start and run, after the same
 * checks as routes.
 */
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
    const isRun = runPath.test(path);
    const body = await readBody(hijacked, isRun ? maxBodyBytes : maxShortBodyBytes);
    const query = parseQuery(path.split('?')[1] ?? '');
    if (isRun) {
      const parsed = compileSchema(RunQuery)(query) as Static<typeof RunQuery>;
      await hijackRun(dependencies, hijacked, { body, query: parsed });
      return;
    }
    const attachTarget = attachPath.exec(path)?.[1];
    if (attachTarget !== undefined) {
      const parsed = compileSchema(AttachQuery)(query) as Static<typeof AttachQuery>;
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
  await pumpSession(session, hijacked.connection, partsFor(session.tty));
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
    await pumpSession(session, connection, partsFor(options.tty));
  } catch (cause) {
    const text = Buffer.from(`${messageOf(cause)}\r\n`);
    connection.end(options.tty ? text : toFrame({ stream: 'stdout', bytes: text }));
  }
}

function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    throw new HyperError('INVALID_ARGUMENT', `"${encoded}": invalid URL escape`, { cause });
  }
}
