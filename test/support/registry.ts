import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { TestBlob, TestImage } from './registry-image.ts';

export interface RegistryOptions {
  /** What it asks for: nothing, Basic credentials, or a token of its own token server. */
  readonly auth?: 'basic' | 'bearer';
  readonly username?: string;
  readonly password?: string;
  /** A token is good for so many requests. */
  readonly tokenUses?: number;
  /** The token server gives tokens to those who say nothing, too. */
  readonly anonymousTokens?: boolean;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** Handles a request instead of the registry; false lets the registry do it. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A registry that speaks the distribution protocol over HTTP on the loopback, as the real one does. */
export class TestRegistry implements AsyncDisposable {
  readonly host: string;
  readonly requests: SeenRequest[] = [];
  /** Faults to make. */
  intercept: Intercept = () => false;
  ignoresRanges = false;
  readonly #options: RegistryOptions;
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<string, TestBlob>();
  readonly #tags = new Map<string, string[]>();
  readonly #tokens = new Map<string, number>();
  readonly #server = createServer((request, response) => {
    this.#handle(request, response);
  });

  private constructor(options: RegistryOptions, port: number) {
    this.#options = options;
    this.host = `127.0.0.1:${String(port)}`;
  }

  static async start(options: RegistryOptions = {}): Promise<TestRegistry> {
    // The port is known only when it listens, the host's name is fixed for the rest.
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    const registry = new TestRegistry(options, port);
    registry.#server.listen(port, '127.0.0.1');
    await once(registry.#server, 'listening');
    return registry;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  addBlob(blob: TestBlob): void {
    this.#blobs.set(blob.digest, blob.bytes);
  }

  /** Serves other bytes under a digest. */
  corrupt(blob: TestBlob, bytes: Buffer): void {
    this.#blobs.set(blob.digest, bytes);
  }

  addManifest(repository: string, tag: string | null, manifest: TestBlob): void {
    this.#manifests.set(`${repository}@${manifest.digest}`, manifest);
    if (tag === null) return;
    this.#manifests.set(`${repository}:${tag}`, manifest);
    this.#tags.set(repository, [...(this.#tags.get(repository) ?? []), tag]);
  }

  addImage(repository: string, tag: string | null, image: TestImage): void {
    for (const blob of [image.config, ...image.layers]) this.addBlob(blob);
    this.addManifest(repository, tag, image.manifest);
  }

  /** Requests whose path has this in it. */
  seen(part: string): readonly SeenRequest[] {
    return this.requests.filter(({ path }) => path.includes(part));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', `http://${this.host}`);
    this.requests.push({
      method: request.method ?? '',
      path: url.pathname,
      authorization: request.headers.authorization,
      range: request.headers.range,
    });
    if (this.intercept(request, response)) return;
    if (url.pathname === '/token') {
      this.#giveToken(request, response, url);
      return;
    }
    if (!this.#isAllowed(request)) {
      const challenge =
        this.#options.auth === 'basic'
          ? 'Basic realm="test"'
          : `Bearer realm="http://${this.host}/token",service="test"`;
      response.setHeader('www-authenticate', challenge);
      fail(response, 401, 'UNAUTHORIZED', 'authentication required');
      return;
    }
    this.#serve(url, request, response);
  }

  #serve(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const [, repository = '', kind, key = ''] =
      /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(url.pathname) ?? [];
    if (url.pathname === '/v2/') {
      response.end('{}');
    } else if (kind === 'manifests') {
      const separator = key.startsWith('sha256:') ? '@' : ':';
      const manifest = this.#manifests.get(`${repository}${separator}${key}`);
      if (manifest === undefined) fail(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
      else response.setHeader('content-type', manifest.mediaType).end(manifest.bytes);
    } else if (kind === 'blobs') {
      const blob = this.#blobs.get(key);
      if (blob === undefined) fail(response, 404, 'BLOB_UNKNOWN', 'blob unknown to registry');
      else this.#serveBlob(blob, request, response);
    } else if (kind === 'tags') {
      this.#serveTags(repository, url, response);
    } else {
      fail(response, 404, 'NAME_UNKNOWN', 'repository name not known to registry');
    }
  }

  #serveBlob(blob: Buffer, request: IncomingMessage, response: ServerResponse): void {
    const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    if (start === undefined || this.ignoresRanges) {
      response.setHeader('content-length', blob.length).end(blob);
      return;
    }
    const offset = Number(start);
    response.statusCode = 206;
    response.setHeader(
      'content-range',
      `bytes ${start}-${String(blob.length - 1)}/${String(blob.length)}`,
    );
    response.setHeader('content-length', blob.length - offset);
    response.end(blob.subarray(offset));
  }

  /** Two a page. */
  #serveTags(name: string, url: URL, response: ServerResponse): void {
    const tags = this.#tags.get(name) ?? [];
    const last = url.searchParams.get('last');
    const from = last === null ? 0 : tags.indexOf(last) + 1;
    const page = tags.slice(from, from + 2);
    if (from + 2 < tags.length) {
      response.setHeader('link', `</v2/${name}/tags/list?last=${page[1] ?? ''}&n=2>; rel="next"`);
    }
    response.end(JSON.stringify({ name, tags: page }));
  }

  #isAllowed(request: IncomingMessage): boolean {
    const { auth, username = '', password = '', tokenUses = Infinity } = this.#options;
    if (auth === undefined) return true;
    const given = request.headers.authorization ?? '';
    if (auth === 'basic') return given === basic(username, password);
    const token = given.replace(/^Bearer /, '');
    const uses = this.#tokens.get(token);
    if (uses === undefined || uses >= tokenUses) return false;
    this.#tokens.set(token, uses + 1);
    return true;
  }

  #giveToken(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const { username = '', password = '', anonymousTokens = false } = this.#options;
    const given = request.headers.authorization;
    const isKnown = given === basic(username, password);
    if (url.searchParams.get('service') !== 'test' || !(isKnown || (anonymousTokens && !given))) {
      fail(response, 401, 'UNAUTHORIZED', 'incorrect username or password');
      return;
    }
    const token = randomUUID();
    this.#tokens.set(token, 0);
    response.end(JSON.stringify({ token, expires_in: 60 }));
  }
}

/** Answers the first `count` requests for paths with `part` in them with a status. */
export function failing(part: string, status: number, count: number): Intercept {
  let left = count;
  return (request, response) => {
    if (left === 0 || !(request.url ?? '').includes(part)) return false;
    left -= 1;
    response.writeHead(status).end('{"errors":[{"code":"UNAVAILABLE","message":"not now"}]}');
    return true;
  };
}

/** Cuts the connection of the first `count` requests for `blob` after so many bytes. */
export function cutting(blob: TestBlob, afterBytes: number, count: number): Intercept {
  let left = count;
  return (request, response) => {
    if (left === 0 || !(request.url ?? '').endsWith(blob.digest)) return false;
    left -= 1;
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (start > 0) {
      response.statusCode = 206;
      const range = `bytes ${String(start)}-${String(blob.bytes.length - 1)}/${String(blob.bytes.length)}`;
      response.setHeader('content-range', range);
    }
    response.setHeader('content-length', blob.bytes.length - start);
    response.write(blob.bytes.subarray(start, start + afterBytes), () => {
      response.destroy();
    });
    return true;
  };
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function fail(response: ServerResponse, status: number, code: string, message: string): void {
  response.statusCode = status;
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
