import type { Readable } from 'node:stream';

import { type Dispatcher, request } from 'undici';

import { HyperError } from '../base/error.ts';
import type { RegistryAuth } from './image-store.ts';
import { parseJson } from './json.ts';
import { readLimited } from './read-limited.ts';
import { basicCredentials, type Challenge, parseChallenge, tokenRequest } from './registry-auth.ts';
import { isLoopback } from './registry-config.ts';
import {
  ConnectionError,
  isCertificateFault,
  networkReason,
  parseFault,
  PassingError,
} from './registry-error.ts';

export interface RegistryAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable & { dump(): Promise<void> };
}

export interface EndpointOptions {
  /** `https://host:port`, without a slash at its end. */
  readonly base: string;
  readonly dispatcher: Dispatcher;
  /** Undefined for a mirror: it must not see what was meant for the registry. */
  readonly auth: RegistryAuth | undefined;
  /** What a token must allow: `repository:library/busybox:pull`; '' for a mere login. */
  readonly scope: string;
  /** Plain HTTP is acceptable for the registry, its token server and its redirects. */
  readonly insecure: boolean;
  /** For messages: `busybox`. */
  readonly repositoryName: string;
}

const maxRedirects = 5;
const maxAnswerBytes = 4 * 1024 * 1024;
const maxPauseMs = 30_000;

/** One address of a registry: sends requests, answers its challenges, follows its redirects. */
export class RegistryEndpoint {
  readonly #options: EndpointOptions;
  #authorization: string | null;

  constructor(options: EndpointOptions) {
    this.#options = options;
    const token = options.auth?.registryToken ?? '';
    this.#authorization = token === '' ? null : `Bearer ${token}`;
  }

  get base(): string {
    return this.#options.base;
  }

  /**
   * GETs a resource. NOT_FOUND with the registry's words, UNAUTHORIZED, PassingError for what another
   * attempt may cure.
   */
  async get(
    resource: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<RegistryAnswer> {
    const url = `${this.base}${resource}`;
    const before = this.#authorization;
    const first = await this.#send(url, headers, signal);
    if (first.statusCode !== 401) return this.#checked(first);
    const challenge = parseChallenge(headerOf(first, 'www-authenticate'));
    if (challenge === null) return this.#checked(first);
    await first.body.dump();
    // A request beside this one may have got a new token meanwhile.
    if (this.#authorization === before) {
      this.#authorization = await this.#authorize(challenge, signal);
    }
    return this.#checked(await this.#send(url, headers, signal));
  }

  async #authorize(challenge: Challenge, signal: AbortSignal): Promise<string> {
    const { auth, scope, dispatcher } = this.#options;
    const basic = basicCredentials(auth);
    if (challenge.scheme === 'basic') {
      if (basic === null) throw this.#denied('no basic auth credentials');
      return basic;
    }
    const token = tokenRequest(challenge, scope, auth);
    this.#refusePlainText(token.url, 'token server');
    const response = await this.#request(token.url, {
      method: token.method,
      dispatcher,
      signal,
      headers: {
        ...(token.body === null ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...(token.body === null && basic !== null ? { authorization: basic } : {}),
      },
      ...(token.body === null ? {} : { body: token.body }),
    });
    const bytes = await readLimited(response.body, maxAnswerBytes, 'token answer');
    if (response.statusCode === 429 || response.statusCode >= 500) {
      throw new PassingError(
        `token server ${token.url.host} answered ${String(response.statusCode)}`,
        { pauseMs: pauseOf(response) },
      );
    }
    if (response.statusCode !== 200) {
      const isAnonymous = basic === null && token.body === null;
      throw isAnonymous
        ? this.#accessDenied('denied: requested access to the resource is denied')
        : this.#denied('unauthorized: incorrect username or password');
    }
    const answer = parseJson(bytes, `token server ${token.url.host}`);
    const value = answer['token'] ?? answer['access_token'];
    if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
      throw new HyperError('UNAVAILABLE', `token server ${token.url.host}: it sent no token`);
    }
    return `Bearer ${value}`;
  }

  /** One request, following redirects; the authorization stays with the registry's own host. */
  async #send(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<RegistryAnswer> {
    const { origin } = new URL(url);
    let target = new URL(url);
    for (let redirects = 0; redirects <= maxRedirects; redirects++) {
      const authorization = target.origin === origin ? this.#authorization : null;
      const response = await this.#request(target, {
        dispatcher: this.#options.dispatcher,
        signal,
        headers: { ...headers, ...(authorization === null ? {} : { authorization }) },
      });
      const location = headerOf(response, 'location');
      if (response.statusCode < 300 || response.statusCode >= 400 || location === '') {
        return response;
      }
      await response.body.dump();
      const next = parseUrl(location, target);
      if (next === null || !/^https?:$/.test(next.protocol)) {
        throw new HyperError('UNAVAILABLE', `${target.host}: it redirects to no valid URL`);
      }
      this.#refusePlainText(next, 'redirect');
      target = next;
    }
    throw new HyperError('UNAVAILABLE', `${this.base}: too many redirects`);
  }

  async #request(
    target: URL,
    options: NonNullable<Parameters<typeof request>[1]> & { readonly signal: AbortSignal },
  ): Promise<RegistryAnswer> {
    try {
      return await request(target, options);
    } catch (cause) {
      options.signal.throwIfAborted();
      const text = `Get "${target.origin}/v2/": ${networkReason(cause)}`;
      if (!isCertificateFault(cause)) throw new ConnectionError(text, { cause });
      throw new HyperError('UNAVAILABLE', text, {
        cause,
        hint: `put its authority into the registry certificates, ${target.host}/ca.crt`,
      });
    }
  }

  #refusePlainText(url: URL, what: string): void {
    if (url.protocol === 'https:' || this.#options.insecure || isLoopback(url.host)) return;
    throw new HyperError('UNAVAILABLE', `${this.base}: its ${what} ${url.host} has no TLS`, {
      hint: 'add the registry to insecure-registries if that is meant',
    });
  }

  async #checked(response: RegistryAnswer): Promise<RegistryAnswer> {
    const status = response.statusCode;
    if (status === 200 || status === 206) return response;
    const body = (await readLimited(response.body, maxAnswerBytes, 'error answer')).toString();
    const fault = parseFault(body);
    if (status === 401 || status === 403) {
      // Docker Hub says so of what does not exist, too: who asks cannot tell.
      const isDenied = fault?.code === 'DENIED' || status === 403;
      throw isDenied
        ? this.#accessDenied(fault?.text ?? 'denied: requested access to the resource is denied')
        : this.#denied(fault?.text ?? 'unauthorized: authentication required');
    }
    if (status === 404) throw new HyperError('NOT_FOUND', fault?.text ?? 'not found');
    const what = `${this.base}/v2/: received unexpected HTTP status: ${String(status)}${fault === null ? '' : `: ${fault.text}`}`;
    if (status === 429) {
      const text = `toomanyrequests: ${fault?.text ?? 'too many requests'}`;
      throw new PassingError(text, { pauseMs: pauseOf(response) });
    }
    throw status >= 500 ? new PassingError(what) : new HyperError('UNAVAILABLE', what);
  }

  #denied(why: string): HyperError {
    return new HyperError('UNAUTHORIZED', `Get "${this.base}/v2/": ${why}`, {
      hint: 'log in first: docker login',
    });
  }

  #accessDenied(why: string): HyperError {
    const { scope, repositoryName } = this.#options;
    if (scope === '') return this.#denied(why);
    return new HyperError(
      'NOT_FOUND',
      `pull access denied for ${repositoryName}, repository does not exist or may require 'docker login': ${why}`,
    );
  }
}

export function headerOf(response: RegistryAnswer, name: string): string {
  const value = response.headers[name];
  return Array.isArray(value) ? (value[0] ?? '') : (value ?? '');
}

function parseUrl(text: string, base: URL): URL | null {
  return URL.canParse(text, base.href) ? new URL(text, base) : null;
}

/** `Retry-After` in seconds; a date, or more patience than we have, counts as nothing. */
function pauseOf(response: RegistryAnswer): number {
  const seconds = Number(headerOf(response, 'retry-after') || Number.NaN);
  return seconds >= 0 && seconds * 1000 <= maxPauseMs ? seconds * 1000 : 0;
}
