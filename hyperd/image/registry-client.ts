import { setTimeout as delay } from 'node:timers/promises';

import { Agent, type Dispatcher, ProxyAgent } from 'undici';

import { HyperError, isHyperError } from '../base/error.ts';
import type { FetchedBlob } from './blob-store.ts';
import { digestOf } from './digest.ts';
import type { RegistryAuth } from './image-store.ts';
import { asArray, parseJson } from './json.ts';
import { type Descriptor, manifestMediaTypes } from './manifest.ts';
import { readLimited } from './read-limited.ts';
import { dockerHub, familiarName, type Reference } from './reference.ts';
import { isLoopback, type RegistryConfig } from './registry-config.ts';
import { headerOf, type RegistryAnswer, RegistryEndpoint } from './registry-endpoint.ts';
import { ConnectionError, PassingError } from './registry-error.ts';
import { registryTls } from './registry-tls.ts';

type Repository = Pick<Reference, 'domain' | 'path'>;

const hubHost = 'registry-1.docker.io';
const maxManifestBytes = 4 * 1024 * 1024;
const maxTagPages = 1000;
const attempts = 4;
const firstDelayMs = 250;
const headersTimeoutMs = 30_000;
const bodyTimeoutMs = 60_000;

export interface RegistryClientOptions {
  readonly auth?: RegistryAuth | undefined;
  readonly signal: AbortSignal;
}

/** Speaks the distribution protocol (OCI distribution-spec) with one registry, for one repository. */
export class RegistryClient implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #signal: AbortSignal;
  readonly #dispatcher: Dispatcher;
  /** Mirrors first, then the registry with TLS, then (only where allowed) without. */
  readonly #endpoints: readonly RegistryEndpoint[];

  private constructor(
    repository: Repository,
    connection: {
      readonly endpoints: readonly RegistryEndpoint[];
      readonly dispatcher: Dispatcher;
    },
    signal: AbortSignal,
  ) {
    this.#repository = repository;
    this.#endpoints = connection.endpoints;
    this.#dispatcher = connection.dispatcher;
    this.#signal = signal;
  }

  /** For a login the repository's path is ''. */
  static async open(
    config: RegistryConfig,
    repository: Repository,
    options: RegistryClientOptions,
  ): Promise<RegistryClient> {
    const { domain } = repository;
    const connect = await registryTls(config, domain);
    const insecure = !connect.rejectUnauthorized;
    const timeouts = { headersTimeout: headersTimeoutMs, bodyTimeout: bodyTimeoutMs };
    const dispatcher =
      config.proxy === undefined || isLoopback(domain)
        ? new Agent({ connect, ...timeouts })
        : new ProxyAgent({ uri: config.proxy, requestTls: connect, ...timeouts });
    const host = domain === dockerHub ? hubHost : domain;
    const mirrors =
      domain === dockerHub ? (config.mirrors ?? []).map((url) => url.replace(/\/+$/, '')) : [];
    const common = {
      dispatcher,
      scope: repository.path === '' ? '' : `repository:${repository.path}:pull`,
      repositoryName: familiarName(repository),
    };
    const { auth } = options;
    const own = [`https://${host}`, ...(insecure ? [`http://${host}`] : [])];
    const endpoints = [
      ...mirrors.map((base) => ({ ...common, base, auth: undefined, insecure: true })),
      ...own.map((base) => ({ ...common, base, auth, insecure })),
    ].map((endpoint) => new RegistryEndpoint(endpoint));
    return new RegistryClient(repository, { endpoints, dispatcher }, options.signal);
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
      const text = `manifest verification failed for digest ${tagOrDigest}: the content has ${digest}`;
      throw new HyperError('INVALID_ARGUMENT', text);
    }
    return { bytes, digest };
  }

  /** A small blob, verified. */
  async smallBlob(blob: Descriptor): Promise<Buffer> {
    const response = await this.#get(`blobs/${blob.digest}`, {});
    const bytes = await readLimited(response.body, maxManifestBytes, 'image config');
    if (digestOf(bytes) !== blob.digest) {
      const text = `image config verification failed for digest ${blob.digest}`;
      throw new HyperError('INVALID_ARGUMENT', text);
    }
    return bytes;
  }

  /** The bytes of a blob from an offset on, or from 0 when the registry knows no ranges. */
  async blob(blob: Descriptor, offset: number, signal: AbortSignal): Promise<FetchedBlob> {
    const range = offset === 0 ? {} : { range: `bytes=${String(offset)}-` };
    const response = await this.#get(`blobs/${blob.digest}`, range, signal);
    const isPart = response.statusCode === 206;
    const start = /^bytes (\d+)-/.exec(headerOf(response, 'content-range'))?.[1];
    if (isPart && Number(start) !== offset) {
      await response.body.dump();
      throw new PassingError(`blob ${blob.digest}: the registry sent another range than asked for`);
    }
    return { body: response.body, offset: isPart ? offset : 0 };
  }

  /** All tags, over as many pages as the registry makes of them. */
  async tags(): Promise<readonly string[]> {
    const found: string[] = [];
    let query = '';
    for (let page = 0; page < maxTagPages; page++) {
      const response = await this.#get(`tags/list${query}`, {});
      const bytes = await readLimited(response.body, maxManifestBytes, 'tag list');
      const tags = asArray(parseJson(bytes, 'tag list')['tags'], 'tag list', 1_000_000);
      found.push(...tags.filter((tag) => typeof tag === 'string'));
      const next = /<[^>]*(\?[^>]*)>\s*;\s*rel="?next/.exec(headerOf(response, 'link'))?.[1];
      if (next === undefined || tags.length === 0) return found;
      query = next;
    }
    throw new HyperError('UNAVAILABLE', 'tag list: the registry makes too many pages of it');
  }

  /** Asks for nothing but a welcome: proves that the credentials are good. */
  async ping(): Promise<void> {
    await (await this.#retrying('/v2/', {}, this.#signal)).body.dump();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispatcher.destroy();
  }

  #get(
    resource: string,
    headers: Readonly<Record<string, string>>,
    signal = this.#signal,
  ): Promise<RegistryAnswer> {
    return this.#retrying(`/v2/${this.#repository.path}/${resource}`, headers, signal);
  }

  /** Asks again, with growing pauses, while the fault may pass. */
  async #retrying(
    resource: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<RegistryAnswer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#fromFirst(resource, headers, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        if (!(thrown instanceof PassingError) || attempt === attempts) throw thrown;
        const backOffMs = firstDelayMs * 2 ** (attempt - 1) * (0.5 + Math.random());
        await delay(Math.max(backOffMs, thrown.pauseMs), undefined, { signal });
      }
    }
  }

  /** The answer of the first endpoint that has one. */
  async #fromFirst(
    resource: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<RegistryAnswer> {
    let fault: unknown;
    for (const endpoint of this.#endpoints) {
      try {
        return await endpoint.get(resource, headers, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        // Of two that cannot be reached the one with TLS says more.
        if (fault === undefined || !(thrown instanceof ConnectionError)) fault = thrown;
        if (!this.#goesOn(endpoint, thrown)) break;
      }
    }
    throw fault;
  }

  /** After a mirror's failure always; to plain HTTP only when nothing spoke TLS. */
  #goesOn(endpoint: RegistryEndpoint, thrown: unknown): boolean {
    const host = this.#repository.domain === dockerHub ? hubHost : this.#repository.domain;
    const isOwn = endpoint.base === `https://${host}`;
    return isOwn ? thrown instanceof ConnectionError : isHyperError(thrown);
  }
}
