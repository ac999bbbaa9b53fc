import { once } from 'node:events';
import { chmod, chown, lstat, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';

import type { FastifyInstance } from 'fastify';

import { HyperError, isErrno, messageOf } from '../base/error.ts';
import type { HijackDependencies } from './hijacked-connection.ts';
import { createUpgradeHandler, shouldUpgrade } from './stream-hijack.ts';

/** Where the API listens. */
export type ApiAddress = UnixAddress | TcpAddress;

export interface UnixAddress {
  readonly kind: 'unix';
  readonly path: string;
  /** Group of the socket; null: that of the daemon. */
  readonly groupId: number | null;
}

export interface TcpAddress {
  readonly kind: 'tcp';
  readonly host: string;
  readonly port: number;
  /** PEM. Clients must show a certificate of `clientCa`. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
}

/** The sockets of an API. Dispose: takes no new clients, ends idle and hijacked connections. */
export interface ApiListeners extends AsyncDisposable {
  /** The TCP ports that were really taken, in the order of the addresses. */
  readonly ports: readonly number[];
}

const maxHeaderBytes = 64 * 1024;
const keepAliveMs = 120_000;
/** What still streams when the daemon goes has been told to end; this long it may take. */
const drainMs = 1000;
const socketMode = 0o660;

/** Puts the application on its addresses, all or none. */
export async function openApiListeners(
  app: FastifyInstance,
  addresses: readonly ApiAddress[],
  dependencies: HijackDependencies,
): Promise<ApiListeners> {
  await using undo = new AsyncDisposableStack();
  const ports: number[] = [];
  for (const address of addresses) {
    const listener = new Listener(app, address, dependencies);
    undo.use(listener);
    const port = await listener.listen(address);
    if (port !== null) {
      ports.push(port);
    }
  }
  const opened = undo.move();
  return { ports, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

class Listener implements AsyncDisposable {
  readonly #server: Server;
  readonly #hijacked = new Set<Duplex>();
  #socketPath: string | null = null;

  constructor(app: FastifyInstance, address: ApiAddress, dependencies: HijackDependencies) {
    const handler = (...exchange: Parameters<typeof app.routing>): void => {
      app.routing(...exchange);
    };
    this.#server =
      address.kind === 'unix'
        ? createServer(serverOptions, handler)
        : createTlsServer({ ...serverOptions, ...tlsOptions(address.tls) }, handler);
    const upgrade = createUpgradeHandler(dependencies);
    this.#server.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
      this.#hijacked.add(connection);
      connection.once('close', () => this.#hijacked.delete(connection));
      upgrade(request, connection, head);
    });
    this.#server.on('clientError', refuseMalformed);
  }

  /** The TCP port, null for a unix socket. */
  async listen(address: ApiAddress): Promise<number | null> {
    if (address.kind === 'unix') {
      await this.#listenUnix(address.path, address.groupId);
      return null;
    }
    try {
      this.#server.listen({ host: address.host, port: address.port });
      await once(this.#server, 'listening');
    } catch (cause) {
      const where = `${address.host}:${String(address.port)}`;
      throw new HyperError('UNAVAILABLE', `listening on ${where}: ${messageOf(cause)}`, { cause });
    }
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : address.port;
  }

  async #listenUnix(path: string, groupId: number | null): Promise<void> {
    await removeStaleSocket(path);
    // The socket is born with its final mode: nobody slips in before a chmod.
    const umask = process.umask(0o777 & ~socketMode);
    try {
      this.#server.listen({ path });
    } finally {
      process.umask(umask);
    }
    try {
      await once(this.#server, 'listening');
      this.#socketPath = path;
      await chmod(path, socketMode);
      if (groupId !== null) {
        await chown(path, -1, groupId);
      }
    } catch (cause) {
      throw new HyperError('UNAVAILABLE', `listening on ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) {
      return;
    }
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    for (const connection of this.#hijacked) {
      connection.destroy();
    }
    const drained = setTimeout(() => {
      this.#server.closeAllConnections();
    }, drainMs);
    await closed;
    clearTimeout(drained);
    if (this.#socketPath !== null) {
      await rm(this.#socketPath, { force: true });
    }
  }
}

function tlsOptions(tls: TcpAddress['tls']): TlsOptions {
  return {
    cert: tls.cert,
    key: tls.key,
    ca: tls.clientCa,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  };
}

const serverOptions: ServerOptions = {
  shouldUpgradeCallback: shouldUpgrade,
  maxHeaderSize: maxHeaderBytes,
  // An image of many gigabytes takes its time to load.
  requestTimeout: 0,
  headersTimeout: 60_000,
  keepAliveTimeout: keepAliveMs,
  noDelay: true,
};

/** Removes the socket of a daemon that died; CONFLICT when one answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((cause: unknown) => {
    if (isErrno(cause, 'ENOENT')) {
      return null;
    }
    throw new HyperError('UNAVAILABLE', `listening on ${path}: ${messageOf(cause)}`, { cause });
  });
  if (found === null) {
    return;
  }
  if (!found.isSocket()) {
    throw new HyperError('CONFLICT', `listening on ${path}: it exists and is not a socket`);
  }
  const probe = connect({ path });
  try {
    await once(probe, 'connect');
  } catch (cause) {
    if (isErrno(cause, 'ECONNREFUSED')) {
      await rm(path, { force: true });
      return;
    }
    throw new HyperError('UNAVAILABLE', `listening on ${path}: ${messageOf(cause)}`, { cause });
  } finally {
    probe.destroy();
  }
  throw new HyperError('CONFLICT', `listening on ${path}: another daemon answers there`);
}

/** What is not HTTP, or has a header beyond all measure, is answered shortly and dropped. */
function refuseMalformed(error: Error, connection: Duplex): void {
  if (!connection.writable || isErrno(error, 'ECONNRESET')) {
    connection.destroy();
    return;
  }
  const tooLarge = isErrno(error, 'HPE_HEADER_OVERFLOW');
  const status = tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const message = tooLarge ? 'request header is too large' : 'malformed HTTP request';
  const body = `${JSON.stringify({ message })}\n`;
  connection.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${String(body.length)}\r\nConnection: close\r\n\r\n${body}`,
    () => connection.destroy(),
  );
}
