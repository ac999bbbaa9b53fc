import http, { type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** A failure that a person can act on; printed as `hyper: message` with the hint beneath. */
export class CliError extends Error {
  readonly hint: string | undefined;
  readonly exitCode: number;
  readonly status: number | undefined;

  constructor(
    message: string,
    options: { hint?: string; exitCode?: number; status?: number } = {},
  ) {
    super(message);
    this.name = 'CliError';
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 1;
    this.status = options.status;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** Sent as it comes, instead of `body`. */
  readonly upload?: NodeJS.ReadableStream;
  readonly headers?: Readonly<Record<string, string>>;
}

export const defaultHost = 'unix:///run/hyper/hyper.sock';

/** Speaks the Docker Engine API (and our additions under /hyper) to one hyperd. */
export class ApiClient {
  readonly host: string;
  readonly #target: http.RequestOptions;

  constructor(host: string) {
    this.host = host;
    this.#target = parseHost(host);
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
    if ((response.statusCode ?? 500) >= 400) throw await responseError(response);
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
        responseError(response).then(reject, reject);
      });
      request.once('error', (cause) => {
        reject(connectError(this.host, cause));
      });
      request.end(JSON.stringify(options.body ?? {}));
    });
  }

  #request(method: string, path: string, options: RequestOptions): http.ClientRequest {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const search = query.size === 0 ? '' : `?${query.toString()}`;
    return http.request({
      ...this.#target,
      method,
      path: `${path}${search}`,
      headers: {
        Host: 'hyper',
        ...(options.upload === undefined ? { 'Content-Type': 'application/json' } : {}),
        ...options.headers,
      },
    });
  }
}

function parseHost(host: string): http.RequestOptions {
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length) };
  const match = /^(?:tcp|http):\/\/(\[[^\]]+\]|[^:/]+):(\d+)\/?$/.exec(host);
  if (match === null) {
    throw new CliError(`host "${host}" is neither unix://PATH nor tcp://NAME:PORT`, {
      hint: `leave out --host to use ${defaultHost}`,
    });
  }
  return { host: match[1]?.replace(/^\[|\]$/g, '') ?? '', port: Number(match[2]) };
}

async function readAll(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

async function responseError(response: IncomingMessage): Promise<CliError> {
  const text = await readAll(response);
  const status = response.statusCode ?? 500;
  try {
    const { message } = JSON.parse(text) as { message?: string };
    return new CliError(message ?? text, { status });
  } catch {
    return new CliError(`hyperd answered ${String(status)}: ${text.slice(0, 500)}`, { status });
  }
}

function connectError(host: string, cause: Error): CliError {
  const why = 'code' in cause ? String(cause.code) : cause.message;
  return new CliError(`cannot reach hyperd at ${host}: ${why}`, {
    hint: 'start it with `npm run daemon` (or `hyperd`), or name another one with --host or HYPER_HOST',
  });
}
