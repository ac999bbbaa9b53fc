import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';

import { HyperError, isHyperError, messageOf } from '../base/error.ts';
import type { FetchedBlob } from './blob-store.ts';
import { digestOf } from './digest.ts';
import type { RegistryAuth } from './image-store.ts';
import { type Descriptor, manifestMediaTypes } from './manifest.ts';
import { dockerHub, familiarName, type Reference } from './reference.ts';
import { basicCredentials, type Challenge, parseChallenge, tokenRequest } from './registry-auth.ts';
import { isInsecure, isLoopback, type RegistryConfig } from './registry-config.ts';

type Repository = Pick<Reference, 'domain' | 'path'>;

const hubHost = 'registry-1.docker.io';
const maxManifestBytes = 4 * 1024 * 1024;
const maxRedirects = 5;
const attempts = 4;
const firstDelayMs = 250;
const headersTimeoutMs = 30_000;

/** Speaks the distribution protocol (OCI distribution-spec) with one registry, for one repository. */
export class RegistryClient implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #auth: RegistryAuth | undefined;
  readonly #signal: AbortSignal;
  readonly #dispatcher: Dispatcher;
  /** Tried in order until one answers. */
  readonly #bases: readonly string[];
  #authorization: string | null = null;

  private constructor(
    repository: Repository,
    connection: { readonly bases: readonly string[]; readonly dispatcher: Dispatcher },
    options: { readonly auth?: RegistryAuth | undefined; readonly signal: AbortSignal },
  ) {
    this.#repository = repository;
    this.#bases = connection.bases;
    this.#dispatcher = connection.dispatcher;
    this.#auth = options.auth;
    this.#signal = options.signal;
    const token = options.auth?.registryToken;
    if (token !== undefined && token !== '') this.#authorization = `Bearer ${token}`;
  }

  static async open(
    config: RegistryConfig,
    repository: Repository,
    options: { readonly auth?: RegistryAuth | undefined; readonly signal: AbortSignal },
  ): Promise<RegistryClient> {
    const { domain } = repository;
    const insecure = isInsecure(config, domain);
    const ca = await readAuthority(config.caDirectory, domain);
    const tls = { rejectUnauthorized: !insecure || ca !== null, ...(ca === null ? {} : { ca }) };
    const dispatcher =
      config.proxy === undefined || isLoopback(domain)
        ? new Agent({ connect: tls, headersTimeout: headersTimeoutMs })
        : new ProxyAgent({ uri: config.proxy, requestTls: tls, headersTimeout: headersTimeoutMs });
    const host = domain === dockerHub ? hubHost : domain;
    const mirrors =
      domain === dockerHub ? (config.mirrors ?? []).map((url) => url.replace(/\/+$/, '')) : [];
    const bases = [...mirrors, `https://${host}`, ...(insecure ? [`http://${host}`] : [])];
    return new RegistryClient(repository, { bases, dispatcher }, options);
  }

  /** A manifest or index by tag or digest; a digest is verified. */
  async manifest(
    tagOrDigest: string,
  ): Promise<{ readonly bytes: Buffer; readonly digest: string }> {
    const response = await this.#get(`manifests/${tagOrDigest}`, {
      accept: manifestMediaTypes.join(', '),
    });
    const bytes = await readLimited(response.body, maxManifestBytes, 'manifest');
    const digest = digestOf(bytes);
    if (tagOrDigest.startsWith('sha256:') && digest !== tagOrDigest) {
      const text = `manifest ${tagOrDigest}: the registry sent content with the digest ${digest}`;
      throw new HyperError('INVALID_ARGUMENT', text);
    }
    return { bytes, digest };
  }

  /** A small blob, verified. */
  async smallBlob(blob: Descriptor): Promise<Buffer> {
    const response = await this.#get(`blobs/${blob.digest}`, {});
    const bytes = await readLimited(response.body, maxManifestBytes, 'config blob');
    if (digestOf(bytes) !== blob.digest) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        `config blob ${blob.digest}: its content does not match`,
      );
    }
    return bytes;
  }

  /** The bytes of a blob from an offset on, or from 0 when the registry knows no ranges. */
  async blob(blob: Descriptor, offset: number): Promise<FetchedBlob> {
    const range = offset === 0 ? {} : { range: `bytes=${String(offset)}-` };
    const response = await this.#get(`blobs/${blob.digest}`, range);
    return { body: response.body, offset: response.statusCode === 206 ? offset : 0 };
  }

  async tags(): Promise<readonly string[]> {
    const response = await this.#get('tags/list', {});
    const bytes = await readLimited(response.body, maxManifestBytes, 'tag list');
    const { tags } = JSON.parse(bytes.toString('utf8')) as { tags?: unknown };
    return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
  }

  /** Asks for nothing but a welcome: proves that the credentials are good. */
  async ping(): Promise<void> {
    await (await this.#retrying('/v2/', {})).body.dump();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispatcher.destroy();
  }

  #get(resource: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    return this.#retrying(`/v2/${this.#repository.path}/${resource}`, headers);
  }

  /** Tries every base, and again with growing pauses while the fault may pass. */
  async #retrying(resource: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      let fault: unknown;
      for (const base of this.#bases) {
        try {
          return await this.#authorized(`${base}${resource}`, headers);
        } catch (thrown) {
          this.#signal.throwIfAborted();
          // A mirror without the image, or https where only http speaks: the next base may have it.
          if (fault === undefined || !isPassing(thrown)) fault = thrown;
        }
      }
      if (!isPassing(fault) || attempt === attempts) throw fault;
      const pause = firstDelayMs * 2 ** (attempt - 1) * (0.5 + Math.random());
      await delay(pause, undefined, { signal: this.#signal });
    }
  }

  async #authorized(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const first = await this.#send(url, headers);
    if (first.statusCode !== 401) return this.#checked(first);
    await first.body.dump();
    const challenge = parseChallenge(headerOf(first, 'www-authenticate'));
    if (challenge === null)
      throw this.#denied('UNAUTHORIZED', 'unauthorized: authentication required');
    this.#authorization = await this.#authorize(challenge);
    return this.#checked(await this.#send(url, headers));
  }

  async #authorize(challenge: Challenge): Promise<string | null> {
    const basic = basicCredentials(this.#auth);
    if (challenge.scheme === 'basic') {
      if (basic === null) throw this.#denied('UNAUTHORIZED', 'no basic auth credentials');
      return basic;
    }
    const scope = `repository:${this.#repository.path}:pull`;
    const token = tokenRequest(challenge, this.#repository.path === '' ? '' : scope, this.#auth);
    const response = await request(token.url, {
      method: token.method,
      dispatcher: this.#dispatcher,
      signal: this.#signal,
      headers: {
        ...(token.body === null ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...(token.body === null && basic !== null ? { authorization: basic } : {}),
      },
      ...(token.body === null ? {} : { body: token.body }),
    });
    const bytes = await readLimited(response.body, maxManifestBytes, 'token answer');
    if (response.statusCode >= 500)
      throw passing(`token server answered ${String(response.statusCode)}`);
    if (response.statusCode !== 200) {
      throw this.#denied('UNAUTHORIZED', 'unauthorized: incorrect username or password');
    }
    const answer = JSON.parse(bytes.toString('utf8')) as {
      token?: unknown;
      access_token?: unknown;
    };
    const value = answer.token ?? answer.access_token;
    if (typeof value !== 'string')
      throw new HyperError('UNAVAILABLE', 'the token server sent no token');
    return `Bearer ${value}`;
  }

  /** One request, following redirects; the authorization stays with the registry's own host. */
  async #send(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const origin = new URL(url).origin;
    let target = new URL(url);
    for (let redirects = 0; redirects <= maxRedirects; redirects++) {
      const authorization = target.origin === origin ? this.#authorization : null;
      let response: Answer;
      try {
        response = await request(target, {
          dispatcher: this.#dispatcher,
          signal: this.#signal,
          headers: { ...headers, ...(authorization === null ? {} : { authorization }) },
        });
      } catch (cause) {
        this.#signal.throwIfAborted();
        throw passing(`Get "${target.origin}/v2/": ${messageOf(cause)}`, cause);
      }
      if (response.statusCode < 300 || response.statusCode >= 400) return response;
      await response.body.dump();
      target = new URL(headerOf(response, 'location'), target);
    }
    throw new HyperError('UNAVAILABLE', `registry ${this.#repository.domain}: too many redirects`);
  }

  async #checked(response: Answer): Promise<Answer> {
    const status = response.statusCode;
    if (status === 200 || status === 206) return response;
    const text = (await readLimited(response.body, maxManifestBytes, 'error answer')).toString(
      'utf8',
    );
    if (status === 401 || status === 403) {
      throw this.#denied(
        status === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN',
        'denied: requested access to the resource is denied',
      );
    }
    if (status === 404) throw new HyperError('NOT_FOUND', describe(text) ?? 'not found');
    const what = `registry ${this.#repository.domain} answered ${String(status)}: ${describe(text) ?? text.slice(0, 200)}`;
    throw status === 429 || status >= 500 ? passing(what) : new HyperError('UNAVAILABLE', what);
  }

  #denied(code: 'UNAUTHORIZED' | 'FORBIDDEN', why: string): HyperError {
    const name = familiarName(this.#repository);
    const text = `pull access denied for ${name}, repository does not exist or may require 'docker login': ${why}`;
    return new HyperError(code, this.#repository.path === '' ? why : text);
  }
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable & { dump(): Promise<void> };
}

/** A fault that may be over at the next attempt. */
class PassingError extends HyperError {}

function passing(message: string, cause?: unknown): PassingError {
  return new PassingError('UNAVAILABLE', message, { cause });
}

function isPassing(thrown: unknown): boolean {
  return thrown instanceof PassingError && isHyperError(thrown, 'UNAVAILABLE');
}

function headerOf(response: Answer, name: string): string {
  const value = response.headers[name];
  return Array.isArray(value) ? (value[0] ?? '') : (value ?? '');
}

/** `code: message` of the first error in a registry's answer. */
function describe(text: string): string | null {
  try {
    const { errors } = JSON.parse(text) as { errors?: { code?: string; message?: string }[] };
    const first = errors?.[0];
    if (first?.message === undefined) return null;
    return `${(first.code ?? 'unknown').toLowerCase().replaceAll('_', ' ')}: ${first.message}`;
  } catch {
    return null;
  }
}

async function readLimited(body: Readable, limit: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limit)
      throw new HyperError('INVALID_ARGUMENT', `${what}: larger than ${String(limit)} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readAuthority(
  directory: string | undefined,
  domain: string,
): Promise<string | null> {
  if (directory === undefined) return null;
  try {
    return await readFile(path.join(directory, domain, 'ca.crt'), 'utf8');
  } catch {
    return null;
  }
}
