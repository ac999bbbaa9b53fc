import { describe, expect, it } from 'vitest';

import { parseChallenge, tokenRequest } from '../../../../hyperd/image/registry-auth.ts';
import { parseFault } from '../../../../hyperd/image/registry-error.ts';

const challenge = {
  scheme: 'bearer',
  parameters: { realm: 'https://auth.example/token', service: 'registry' },
} as const;

describe('parseChallenge', () => {
  it('reads a Bearer challenge with commas in its values', () => {
    const header = 'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"';
    expect(parseChallenge(header)).toEqual({
      scheme: 'bearer',
      parameters: { realm: 'https://a/t', service: 's', scope: 'repository:a/b:pull,push' },
    });
  });

  it('reads Basic, whatever its case', () => {
    expect(parseChallenge('BASIC Realm="x"')?.scheme).toBe('basic');
  });

  it.each(['', 'Negotiate', 'Digest realm="x"'])('knows no other scheme: %s', (header) => {
    expect(parseChallenge(header)).toBeNull();
  });
});

describe('tokenRequest', () => {
  it('asks for a scope, naming the account', () => {
    const { url, method, body } = tokenRequest(challenge, 'repository:a:pull', { username: 'me' });
    expect([method, body]).toEqual(['GET', null]);
    expect(url.href).toBe(
      'https://auth.example/token?service=registry&scope=repository%3Aa%3Apull&account=me',
    );
  });

  it('posts the refresh token of a login, never in the URL', () => {
    const { url, method, body } = tokenRequest(challenge, 's', { identityToken: 'secret' });
    expect([method, url.href]).toEqual(['POST', 'https://auth.example/token']);
    expect(new URLSearchParams(body ?? '').get('refresh_token')).toBe('secret');
  });

  it.each([undefined, 'file:///etc/passwd', 'ftp://x'])('refuses the token server %s', (realm) => {
    const parameters = realm === undefined ? {} : { realm };
    expect(() => tokenRequest({ scheme: 'bearer', parameters }, '', {})).toThrow(
      'no valid token server',
    );
  });
});

describe('parseFault', () => {
  it('words the first error as Docker does', () => {
    const body = '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}';
    expect(parseFault(body)).toEqual({
      code: 'MANIFEST_UNKNOWN',
      text: 'manifest unknown: manifest unknown',
    });
  });

  it.each([
    '',
    'null',
    '[]',
    '{"errors":null}',
    '{"errors":[null]}',
    '{"errors":[{"code":1}]}',
    '<html>',
  ])('makes nothing of %j', (body) => {
    expect(parseFault(body)).toBeNull();
  });
});
