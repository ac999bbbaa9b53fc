import { describe, expect, it } from 'vitest';

import { parseImageConfig } from '../../../../hyperd/image/image-config.ts';
import { parseManifest } from '../../../../hyperd/image/manifest.ts';
import { imageOf, json, sha256 } from '../../../support/registry-image.ts';

const tar = Buffer.alloc(1024);

function changed(change: (manifest: Record<string, unknown>) => void): Buffer {
  const manifest = JSON.parse(imageOf([tar]).manifest.bytes.toString()) as Record<string, unknown>;
  change(manifest);
  return json(manifest);
}

describe('parseManifest', () => {
  it('reads Docker and OCI manifests alike', () => {
    const oci = imageOf([tar]);
    const docker = imageOf([tar], { docker: true, compression: 'none' });
    expect(parseManifest(oci.manifest.bytes).config.digest).toBe(oci.id);
    expect(parseManifest(docker.manifest.bytes).layers[0]?.digest).toBe(docker.diffIds[0]);
  });

  it.each([
    ['schema 1', (m: Record<string, unknown>) => (m['schemaVersion'] = 1), /schema version 1/],
    ['no config', (m: Record<string, unknown>) => delete m['config'], /manifest: config/],
    [
      'layers that are no list',
      (m: Record<string, unknown>) => (m['layers'] = {}),
      /manifest: layers/,
    ],
    [
      'a layer of an unknown kind',
      (m: Record<string, unknown>) =>
        (m['layers'] = [{ mediaType: 'application/x-zip', digest: sha256('a'), size: 1 }]),
      /"application\/x-zip" cannot be used/,
    ],
    [
      'something that is no image',
      (m: Record<string, unknown>) =>
        (m['config'] = {
          mediaType: 'application/vnd.cncf.helm.config.v1+json',
          digest: sha256('a'),
          size: 1,
        }),
      /helm.* cannot be used as an image/,
    ],
    [
      'a digest that climbs',
      (m: Record<string, unknown>) =>
        (m['layers'] = [
          {
            mediaType: 'application/vnd.oci.image.layer.v1.tar',
            digest: 'sha256:../../x',
            size: 1,
          },
        ]),
      /no sha256 digest/,
    ],
    [
      'a negative size',
      (m: Record<string, unknown>) =>
        (m['layers'] = [
          { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha256('a'), size: -1 },
        ]),
      /size in bytes/,
    ],
  ])('refuses %s', (_, change, message) => {
    expect(() => parseManifest(changed(change))).toThrow(message);
  });

  it('refuses what is not JSON', () => {
    expect(() => parseManifest(Buffer.from('<html>'))).toThrow('it is not JSON');
    expect(() => parseManifest(Buffer.from('null'))).toThrow('an object is wanted');
  });
});

describe('parseImageConfig', () => {
  it('fills in what the config leaves out', () => {
    const image = imageOf([tar], { config: { config: { Cmd: null, Labels: null } } });
    const { config, id } = parseImageConfig(image.config.bytes);
    expect(id).toBe(image.id);
    expect(config).toMatchObject({ User: '', Env: [], Cmd: null, Entrypoint: null, Labels: {} });
  });

  it.each([
    ['a command that is no list', { config: { Cmd: 'sh' } }, /config\.Cmd/],
    ['environment that is no text', { config: { Env: [1] } }, /config\.Env\[0\]/],
    ['no operating system', { os: '' }, /os and architecture/],
    ['a bad diffId', { rootfs: { diff_ids: ['md5:x'] } }, /diff_ids/],
    ['too many layers', { rootfs: { diff_ids: Array(128).fill(sha256('a')) } }, /at most 127/],
  ])('refuses %s', (_, config, message) => {
    expect(() => parseImageConfig(imageOf([tar], { config }).config.bytes)).toThrow(message);
  });
});
