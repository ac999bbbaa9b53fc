import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { connectError, responseError } from './cli-error.ts';
import { type HostAddress, parseHost } from './host.ts';
import { type Query, toSearch } from './query.ts';

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** Sent as it comes, instead of `body`. */
  readonly upload?: NodeJS.ReadableStream;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Keeps node:http from deriving a name for TLS, which we do not speak: it would compile a pattern of all
 * IPv6 addresses, a fifth of what a first request takes.
 */
const withoutServerName = { servername: '' };

/** Speaks the Docker Engine API (and our additions under /hyper) to one hyperd. */
export class ApiClient {
  readonly host: string;
  readonly #address: HostAddress;

  constructor(host: string) {
    this.host = host;
    this.#address = parseHost(host);
  }

  /** A request whose answer is one JSON document; undefined when the answer has no body. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const text = await readAll(await this.open(method, path, options));
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Sends a request; rejects with the daemon's own message for any status of 400 and above. */
  async open(method: string, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
    const request = this.#request(method, path, options);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', (cause) => {
        reject(connectError(this.host, cause));
      });
      if (options.upload === undefined) {
        request.end(options.body === undefined ? undefined : JSON.stringify(options.body));
      } else {
        options.upload.pipe(request);
      }
    });
    if ((response.statusCode ?? 500) >= 400) throw await readError(response);
    // Nobody reads an answer without a body, and an unread one would keep its connection, and us, alive.
    if (response.statusCode === 204 || response.headers['content-length'] === '0')
      response.resume();
    return response;
  }

  /** The objects of an NDJSON answer, as they come. */
  async *lines<T>(method: string, path: string, options: RequestOptions = {}): AsyncGenerator<T> {
    let rest = '';
    const response = await this.open(method, path, options);
    for await (const chunk of response.setEncoding('utf8')) {
      const parts = (rest + String(chunk)).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.trim() !== '') yield JSON.parse(part) as T;
    }
    if (rest.trim() !== '') yield JSON.parse(rest) as T;
  }

  /** Takes the connection over after the daemon's 101: a raw byte stream both ways. */
  hijack(path: string, options: RequestOptions = {}): Promise<Socket> {
    const headers = { Connection: 'Upgrade', Upgrade: 'tcp', ...options.headers };
    const request = this.#request('POST', path, { ...options, headers });
    return new Promise((resolve, reject) => {
      request.once('upgrade', (_response, socket: Socket, head) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      request.once('response', (response) => {
        readError(response).then(reject, reject);
      });
      request.once('error', (cause) => {
        reject(connectError(this.host, cause));
      });
      request.end(JSON.stringify(options.body ?? {}));
    });
  }

  #request(method: string, path: string, options: RequestOptions): ClientRequest {
    // An import would evaluate all that node:http exports, undici among it; this loads what is used.
    const http = process.getBuiltinModule('node:http');
    const address = this.#address;
    return http.request({
      ...('path' in address ? { socketPath: address.path } : address),
      ...withoutServerName,
      method,
      path: `${path}${toSearch(options.query ?? {})}`,
      headers: {
        Host: 'hyper',
        ...(options.upload === undefined ? { 'Content-Type': 'application/json' } : {}),
        ...options.headers,
      },
    });
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

async function readError(response: IncomingMessage): Promise<Error> {
  return responseError(response.statusCode ?? 500, await readAll(response));
}
