import { HyperError } from '../base/error.ts';
import type { RegistryAuth } from './image-store.ts';

/** A `WWW-Authenticate` challenge (RFC 9110, section 11.6.1). */
export interface Challenge {
  readonly scheme: 'basic' | 'bearer';
  readonly parameters: Readonly<Record<string, string>>;
}

/** The first Basic or Bearer challenge of a header, or null. */
export function parseChallenge(header: string): Challenge | null {
  const match = /^\s*(basic|bearer)\s*(.*)$/is.exec(header);
  if (match === null) return null;
  const pairs = [...(match[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/gi)];
  return {
    scheme: match[1]?.toLowerCase() === 'basic' ? 'basic' : 'bearer',
    parameters: Object.fromEntries(
      pairs.map((pair) => [pair[1]?.toLowerCase() ?? '', pair[2] ?? '']),
    ),
  };
}

/** `Authorization` value for Basic, or null without user and password. */
export function basicCredentials(auth: RegistryAuth | undefined): string | null {
  if (auth?.username === undefined || auth.username === '') return null;
  return `Basic ${Buffer.from(`${auth.username}:${auth.password ?? ''}`).toString('base64')}`;
}

/**
 * The request that gets a token (distribution spec, token authentication): GET with Basic credentials,
 * or POST with the refresh token that `docker login` was given.
 */
export function tokenRequest(
  challenge: Challenge,
  scope: string,
  auth: RegistryAuth | undefined,
): { readonly url: URL; readonly method: 'GET' | 'POST'; readonly body: string | null } {
  const { realm, service } = challenge.parameters;
  if (realm === undefined || !/^https?:\/\//.test(realm)) {
    throw new HyperError('UNAVAILABLE', `the registry names no valid token server: ${realm ?? ''}`);
  }
  const url = new URL(realm);
  if (auth?.identityToken !== undefined && auth.identityToken !== '') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: auth.identityToken,
      client_id: 'hyperd',
      scope,
      ...(service === undefined ? {} : { service }),
    });
    return { url, method: 'POST', body: form.toString() };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  if (scope !== '') url.searchParams.set('scope', scope);
  if (auth?.username !== undefined && auth.username !== '')
    url.searchParams.set('account', auth.username);
  return { url, method: 'GET', body: null };
}
