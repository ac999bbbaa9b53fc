import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { credentialsChecker } from '../../../../hyperd/image/login.ts';
import { RegistryClient } from '../../../../hyperd/image/registry-client.ts';
import type { RegistryConfig } from '../../../../hyperd/image/registry-config.ts';
import { type RegistryOptions, TestRegistry } from '../../../support/registry.ts';
import { fileLayer, imageOf, type TestImage } from '../../../support/registry-image.ts';

vi.mock('node:timers/promises', () => ({
  setTimeout: (_ms: number, value: unknown) => Promise.resolve(value),
}));

const me = { username: 'me', password: 'secret' };
const { signal } = new AbortController();

async function registryWith(options: RegistryOptions): Promise<[TestRegistry, TestImage]> {
  const registry = await TestRegistry.start(options);
  onTestFinished(() => registry[Symbol.asyncDispose]());
  const image = imageOf([await fileLayer('a', 'one')]);
  registry.addImage('app', '1', image);
  return [registry, image];
}

async function clientOf(
  domain: string,
  auth: Parameters<typeof RegistryClient.open>[2]['auth'],
  config: RegistryConfig = {},
): Promise<RegistryClient> {
  const client = await RegistryClient.open(config, { domain, path: 'app' }, { auth, signal });
  onTestFinished(() => client[Symbol.asyncDispose]());
  return client;
}

/** A server of another origin that notes what it is sent. */
async function stranger(body: Buffer): Promise<{ url: string; seen: IncomingHttpHeaders[] }> {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    response.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, seen };
}

describe('the registry client', () => {
  it.each(['basic', 'bearer'] as const)('answers a %s challenge', async (auth) => {
    const [registry, image] = await registryWith({ auth, ...me });
    const client = await clientOf(registry.host, me);
    expect((await client.manifest('1')).digest).toBe(image.manifest.digest);
  });

  it('uses one token for many requests, and gets a new one when it is spent', async () => {
    const [registry, image] = await registryWith({ auth: 'bearer', ...me, tokenUses: 2 });
    const client = await clientOf(registry.host, me);
    for (let request = 0; request < 4; request++) await client.manifest('1');
    await client.smallBlob({ ...image.config, sizeBytes: image.config.bytes.length });
    expect(registry.seen('/token')).toHaveLength(3);
  });

  it('gets a token without credentials where the registry gives one', async () => {
    const [registry] = await registryWith({ auth: 'bearer', ...me, anonymousTokens: true });
    const client = await clientOf(registry.host, undefined);
    await client.manifest('1');
    expect(registry.seen('/token')[0]?.authorization).toBeUndefined();
  });

  it('uses a token that it was given', async () => {
    const [registry] = await registryWith({ auth: 'bearer', ...me });
    const client = await clientOf(registry.host, { registryToken: 'given' });
    await client.manifest('1').catch(() => undefined);
    expect(registry.requests[0]?.authorization).toBe('Bearer given');
  });

  it.each([
    ['basic', undefined, 'UNAUTHORIZED', /no basic auth credentials/],
    ['basic', { username: 'me', password: 'wrong' }, 'UNAUTHORIZED', /authentication required/],
    [
      'bearer',
      { username: 'me', password: 'wrong' },
      'UNAUTHORIZED',
      /incorrect username or password/,
    ],
    [
      'bearer',
      undefined,
      'NOT_FOUND',
      /^pull access denied for 127.0.0.1:\d+\/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied$/,
    ],
  ] as const)('says why %s credentials %j are no good', async (auth, given, code, message) => {
    const [registry] = await registryWith({ auth, ...me });
    const client = await clientOf(registry.host, given);
    await expect(client.manifest('1')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  it('never repeats a password in an error', async () => {
    const [registry] = await registryWith({ auth: 'basic', ...me });
    const client = await clientOf(registry.host, { username: 'me', password: 'hunter2' });
    const thrown: unknown = await client.manifest('1').catch((cause: unknown) => cause);
    expect(String(thrown) + JSON.stringify(thrown)).not.toMatch(/hunter2|aHVudGVy|bWU6/);
  });

  it('does not take its authorization along to another host', async () => {
    const [registry, image] = await registryWith({ auth: 'basic', ...me });
    const other = await stranger(image.config.bytes);
    registry.intercept = (request, response) => {
      if (!(request.url ?? '').includes('/blobs/') || !request.headers.authorization) return false;
      response.writeHead(307, { location: `${other.url}/storage` }).end();
      return true;
    };
    const client = await clientOf(registry.host, me);
    await client.manifest('1');
    await client.smallBlob({ ...image.config, sizeBytes: image.config.bytes.length });
    expect(other.seen[0]).toBeDefined();
    expect(other.seen[0]?.authorization).toBeUndefined();
  });

  it('gives up on a circle of redirects, and on a redirect to nowhere', async () => {
    const [registry] = await registryWith({});
    const client = await clientOf(registry.host, undefined);
    registry.intercept = (request, response) => {
      response.writeHead(302, { location: request.url ?? '' }).end();
      return true;
    };
    await expect(client.manifest('1')).rejects.toThrow('too many redirects');
    registry.intercept = (_, response) => {
      response.writeHead(302, { location: 'file:///etc/passwd' }).end();
      return true;
    };
    await expect(client.manifest('1')).rejects.toThrow('redirects to no valid URL');
  });

  it('asks mirrors of Docker Hub first, without the credentials for Docker Hub', async () => {
    const [mirror, image] = await registryWith({});
    const config = { mirrors: [`http://${mirror.host}/`] };
    const client = await clientOf('docker.io', me, config);
    expect((await client.manifest('1')).digest).toBe(image.manifest.digest);
    expect(mirror.requests[0]?.authorization).toBeUndefined();
  });

  it('refuses a manifest that is not the one that it asked for', async () => {
    const [registry] = await registryWith({});
    const other = imageOf([await fileLayer('b', 'two')]);
    registry.intercept = (request, response) => {
      if (!(request.url ?? '').includes('sha256:')) return false;
      response.end('{}');
      return true;
    };
    const client = await clientOf(registry.host, undefined);
    await expect(client.manifest(other.manifest.digest)).rejects.toThrow(
      `manifest verification failed for digest ${other.manifest.digest}`,
    );
  });

  it('goes through the proxy, but not to the loopback', async () => {
    const [registry] = await registryWith({});
    const config = { proxy: 'http://127.0.0.1:1' };
    await (await clientOf(registry.host, undefined, config)).manifest('1');
    const outside = await clientOf('elsewhere.invalid', undefined, config);
    await expect(outside.manifest('1')).rejects.toThrow(
      'Get "https://elsewhere.invalid/v2/": connection refused',
    );
  });
});

describe('docker login', () => {
  const check = credentialsChecker({});

  it.each(['basic', 'bearer'] as const)('succeeds with good credentials (%s)', async (auth) => {
    const [registry] = await registryWith({ auth, ...me });
    for (const serverAddress of [registry.host, `http://${registry.host}/v2/`]) {
      expect(await check({ ...me, serverAddress }, signal)).toEqual({
        status: 'Login Succeeded',
        identityToken: '',
      });
    }
  });

  it('fails with bad ones', async () => {
    const [registry] = await registryWith({ auth: 'bearer', ...me });
    const auth = { username: 'me', password: 'wrong', serverAddress: registry.host };
    await expect(check(auth, signal)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: `Get "http://${registry.host}/v2/": unauthorized: incorrect username or password`,
    });
  });

  it('refuses a server that is none', async () => {
    await expect(check({ ...me, serverAddress: '..' }, signal)).rejects.toThrow('is no registry');
  });
});
