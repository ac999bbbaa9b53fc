import { describe, expect, it } from 'vitest';

import {
  familiarReference,
  parseReference,
  withDefaultTag,
} from '../../../../hyperd/image/reference.ts';

const hex = 'ab'.repeat(32);

describe('parseReference', () => {
  it.each([
    ['busybox', 'docker.io', 'library/busybox', null, null],
    ['busybox:1.36', 'docker.io', 'library/busybox', '1.36', null],
    ['docker.io/busybox', 'docker.io', 'library/busybox', null, null],
    ['index.docker.io/library/busybox', 'docker.io', 'library/busybox', null, null],
    ['team/app', 'docker.io', 'team/app', null, null],
    ['localhost/app', 'localhost', 'app', null, null],
    ['localhost:5000/app:1', 'localhost:5000', 'app', '1', null],
    ['host:5000/a/b/c', 'host:5000', 'a/b/c', null, null],
    ['Host/app', 'Host', 'app', null, null],
    ['[::1]:5000/app', '[::1]:5000', 'app', null, null],
    [`app@sha256:${hex}`, 'docker.io', 'library/app', null, `sha256:${hex}`],
    [`r.io/app:1@sha256:${hex}`, 'r.io', 'app', '1', `sha256:${hex}`],
    ['a__b/c-d.e_f---g', 'docker.io', 'a__b/c-d.e_f---g', null, null],
  ])('reads %s', (text, ...expected) => {
    const { domain, path, tag, digest } = parseReference(text);
    expect([domain, path, tag, digest]).toEqual(expected);
  });

  it.each([
    ['', 'invalid reference format'],
    [':tag', 'invalid reference format'],
    ['busybox:', 'invalid reference format'],
    ['busybox@', 'invalid reference format'],
    ['-busybox', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    ['../etc/passwd', 'invalid reference format'],
    ['host:port/app', 'invalid reference format'],
    ['a/b:c/d', 'invalid reference format'],
    ['bad tag:x', 'invalid reference format'],
    ['app:a b', 'invalid reference format'],
    [`app:${'t'.repeat(129)}`, 'invalid reference format'],
    [`app@sha256:${hex}@sha256:${hex}`, 'invalid reference format'],
    ['app@md5:abc', 'invalid reference format'],
    ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
    ['r.io/Team/App:1', 'invalid reference format: repository name (Team/App) must be lowercase'],
    [hex, `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`],
    ['a'.repeat(256), 'repository name must not be more than 255 characters'],
    [`app@sha512:${hex}`, 'unsupported digest algorithm: sha512'],
    [`app@sha256:${hex.slice(2)}`, 'invalid checksum digest length'],
  ])('refuses %s as Docker does', (text, message) => {
    expect(() => parseReference(text)).toThrow(message);
  });
});

describe('familiarReference', () => {
  it.each([
    ['docker.io/library/busybox', 'busybox:latest'],
    ['docker.io/team/app:1', 'team/app:1'],
    ['docker.io/library/a/b', 'library/a/b:latest'],
    ['localhost:5000/library/app', 'localhost:5000/library/app:latest'],
    [`busybox:1@sha256:${hex}`, `busybox@sha256:${hex}`],
  ])('shows %s as %s', (text, shown) => {
    expect(familiarReference(withDefaultTag(parseReference(text)))).toBe(shown);
  });
});
