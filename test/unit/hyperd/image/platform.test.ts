import { describe, expect, it } from 'vitest';

import { chooseManifest } from '../../../../hyperd/image/manifest.ts';
import { platformFits, platformName } from '../../../../hyperd/image/platform.ts';
import { json, sha256 } from '../../../support/registry-image.ts';

function indexOf(...names: readonly string[]): Buffer {
  return json({
    manifests: names.map((name) => {
      const [os, architecture, variant] = name.split('/');
      return {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: sha256(name),
        size: 1,
        platform: { os, architecture, variant },
      };
    }),
  });
}

describe('chooseManifest', () => {
  it.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 'linux/amd64'],
    ['linux/arm64', ['linux/arm/v7', 'linux/arm64/v8'], 'linux/arm64/v8'],
    ['linux/arm64/v8', ['linux/arm64'], 'linux/arm64'],
    ['linux/arm', ['linux/arm/v5', 'linux/arm/v7'], 'linux/arm/v7'],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5'], 'linux/arm/v5'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2'], 'linux/amd64/v2'],
    ['linux/amd64', ['linux/amd64/v4', 'linux/amd64'], 'linux/amd64'],
    ['linux/s390x', ['unknown/unknown', 'linux/s390x'], 'linux/s390x'],
  ])('takes the best for %s of %j', (wanted, offered, chosen) => {
    const [os = '', architecture = '', variant] = wanted.split('/');
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
    expect(chooseManifest(indexOf(...offered), platform, 'x').digest).toBe(sha256(chosen));
  });

  it('says what is missing in the words of Docker', () => {
    const choose = () =>
      chooseManifest(indexOf('linux/amd64'), { os: 'linux', architecture: 'arm64' }, 'x');
    expect(choose).toThrow('no matching manifest for linux/arm64 in the manifest list entries');
  });

  it('takes the only entry of an index that names no platforms', () => {
    const index = json({
      manifests: [
        { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: sha256('a'), size: 1 },
      ],
    });
    expect(chooseManifest(index, null, 'x').digest).toBe(sha256('a'));
  });
});

describe('platformFits', () => {
  it('keeps operating systems and architectures apart', () => {
    const linux = { os: 'linux', architecture: 'amd64' };
    expect(platformFits(linux, linux)).toBe(true);
    expect(platformFits({ ...linux, os: 'windows' }, linux)).toBe(false);
    expect(platformFits({ ...linux, architecture: 'arm64' }, linux)).toBe(false);
    expect(platformName({ ...linux, variant: 'v2' })).toBe('linux/amd64/v2');
  });
});
