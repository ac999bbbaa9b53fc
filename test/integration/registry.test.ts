import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import type { ImageStore, PullOptions } from '../../hyperd/image/image-store.ts';
import { credentialsChecker } from '../../hyperd/image/login.ts';
import type { RegistryConfig } from '../../hyperd/image/registry-config.ts';
import { openImageStore } from '../../hyperd/image/store.ts';
import { buildDemoImage } from '../../images/build.ts';
import { cacheDirectory } from '../../setup/paths.ts';
import { checkErofs, statErofs, testMkfsErofs } from '../support/erofs.ts';
import { DebianRegistry, registryUser } from '../support/registry-debian.ts';
import { fileLayer, imageOf, indexOf, type TestImage } from '../support/registry-image.ts';

let registry: DebianRegistry;
let image: TestImage;
let trusted: RegistryConfig;

beforeAll(async () => {
  await testMkfsErofs();
  registry = await DebianRegistry.start();
  trusted = { caDirectory: registry.caDirectory };
  const tars = [await fileLayer('etc/motd', 'hello'), await fileLayer('big', randomBytes(500_000))];
  image = imageOf(tars, { docker: true });
  await registry.push('team/app', '1', image);
});
afterAll(() => registry[Symbol.asyncDispose]());

async function openStore(registries: RegistryConfig): Promise<ImageStore> {
  const directory = await mkdtemp(path.join(tmpdir(), 'hyper-images-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const mkfsErofs = await testMkfsErofs();
  const store = await openImageStore({ directory, mkfsErofs, registries });
  onTestFinished(() => store[Symbol.asyncDispose]());
  return store;
}

function asUser(auth: PullOptions['auth'] = registryUser): PullOptions {
  return { auth, signal: new AbortController().signal, onProgress: () => undefined };
}

describe("Debian's registry with TLS and a password", () => {
  it('gives an image to who trusts its authority and knows the password', async () => {
    const store = await openStore(trusted);
    const name = `${registry.host}/team/app`;
    const record = await store.pull(`${name}:1`, asUser());
    expect(record).toMatchObject({
      id: image.id,
      repoTags: [`${name}:1`],
      repoDigests: [`${name}@${image.manifest.digest}`],
    });
    const layers = await store.layers(record.id);
    for (const layer of layers) await checkErofs(layer.path);
    expect((await statErofs(layers[0]!.path, '/etc/motd')).sizeBytes).toBe(5);
  });

  it('gives an OCI index, and all tags', async () => {
    const platform = { os: 'linux', architecture: 'amd64' };
    const zstd = imageOf([await fileLayer('f', 'zstd')], { compression: 'zstd' });
    await registry.push('team/multi', 'plain', zstd);
    await registry.pushManifest('team/multi', 'index', indexOf([[zstd, platform]]));
    const store = await openStore(trusted);
    const records = await store.pullAllTags(`${registry.host}/team/multi`, asUser());
    expect(records.map(({ id }) => id)).toEqual([zstd.id, zstd.id]);
    expect(store.get(zstd.id).repoTags).toHaveLength(2);
    expect(store.get(zstd.id).repoDigests).toHaveLength(2);
  });

  it('is believed without an authority on the loopback, as with Docker', async () => {
    const store = await openStore({});
    const record = await store.pull(`${registry.host}/team/app:1`, asUser());
    expect(record.id).toBe(image.id);
  });

  it('refuses who does not know the password', async () => {
    const store = await openStore(trusted);
    const name = `${registry.host}/team/app:1`;
    const wrong = { username: 'hyper', password: 'wrong' };
    await expect(store.pull(name, asUser(wrong))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    await expect(store.pull(name, asUser({}))).rejects.toThrow('no basic auth credentials');
  });

  it('says what it does not have', async () => {
    const store = await openStore(trusted);
    const name = `${registry.host}/team/app:nope`;
    await expect(store.pull(name, asUser())).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `manifest for ${name} not found: manifest unknown: manifest unknown`,
    });
  });

  it('is not asked without TLS when another authority is configured for it', async () => {
    const other = await DebianRegistry.start();
    onTestFinished(() => other[Symbol.asyncDispose]());
    const certificates = await mkdtemp(path.join(tmpdir(), 'hyper-certs-'));
    onTestFinished(() => rm(certificates, { recursive: true }));
    const from = path.join(other.caDirectory, other.host);
    await cp(from, path.join(certificates, registry.host), { recursive: true });
    const store = await openStore({ caDirectory: certificates });
    await expect(store.pull(`${registry.host}/team/app:1`, asUser())).rejects.toThrow(
      /^Get "https:.*certificate/,
    );
  });

  it('checks a login', async () => {
    const check = credentialsChecker(trusted);
    const { signal } = new AbortController();
    const serverAddress = `https://${registry.host}`;
    await expect(check({ ...registryUser, serverAddress }, signal)).resolves.toMatchObject({
      status: 'Login Succeeded',
    });
    const wrong = { ...registryUser, password: 'wrong', serverAddress };
    await expect(check(wrong, signal)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });
});

describe('a demo image', () => {
  it('is loaded from its archive into sound layers', async () => {
    const archive = await buildDemoImage('busybox', {
      cacheDirectory,
      onProgress: () => undefined,
    });
    const store = await openStore({});
    const [loaded] = await store.load(createReadStream(archive), asUser());
    expect(loaded?.references).toEqual(['busybox:latest']);
    const layers = await store.layers(store.get('busybox').id);
    for (const layer of layers) await checkErofs(layer.path);
    expect((await statErofs(layers[0]!.path, '/bin')).kind).toMatch(/directory|symbolic link/);
  });
});
