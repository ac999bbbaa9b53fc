import { describe, expect, it } from 'vitest';

import {
  cleanPath,
  isLeftOut,
  isLinkedDirectory,
  mergedPath,
} from '../../../images/package-path.ts';

describe('cleanPath', () => {
  it.each([
    ['./', ''],
    ['.', ''],
    ['./usr/bin/', 'usr/bin'],
    ['/etc/passwd', 'etc/passwd'],
    ['usr/share/.hidden', 'usr/share/.hidden'],
  ])('turns %j into %j', (name, path) => {
    expect(cleanPath(name)).toBe(path);
  });
});

describe('mergedPath', () => {
  it.each([
    ['bin/sh', 'usr/bin/sh'],
    ['sbin/ldconfig', 'usr/sbin/ldconfig'],
    ['lib/x86_64-linux-gnu/libc.so.6', 'usr/lib/x86_64-linux-gnu/libc.so.6'],
    ['lib64/ld-linux-x86-64.so.2', 'usr/lib64/ld-linux-x86-64.so.2'],
    ['var/run/redis/x', 'run/redis/x'],
    ['var/lock/x', 'run/lock/x'],
  ])('moves %j to %j', (path, merged) => {
    expect(mergedPath(path)).toBe(merged);
  });

  it.each(['usr/bin/sh', 'bin', 'library/x', 'etc/bin/x', 'var/running/x', 'opt/lib/x'])(
    'leaves %j where it is',
    (path) => {
      expect(mergedPath(path)).toBe(path);
    },
  );
});

describe('isLinkedDirectory', () => {
  it('knows the links into /usr and /run', () => {
    expect(['bin', 'lib64', 'var/run', 'var/lock'].every(isLinkedDirectory)).toBe(true);
    expect(['usr', 'usr/bin', 'var', 'run'].some(isLinkedDirectory)).toBe(false);
  });
});

describe('isLeftOut', () => {
  it('leaves out what lies in the folders of documentation, not the folders themselves', () => {
    expect(isLeftOut('usr/share/man/man1/ls.1.gz')).toBe(true);
    expect(isLeftOut('usr/share/locale/de/LC_MESSAGES/apt.mo')).toBe(true);
    expect(isLeftOut('usr/share/doc')).toBe(false);
    expect(isLeftOut('usr/lib/locale/C.utf8/LC_CTYPE')).toBe(false);
    expect(isLeftOut('usr/share/manners/x')).toBe(false);
  });
});
