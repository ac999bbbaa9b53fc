import { describe, expect, it } from 'vitest';

import { MountFlag, parseTmpfsOptions } from '../../../hyperstart/mount-flags.ts';

const { noExec, noSuid, noDev, readOnly, strictAtime } = MountFlag;

describe('the options of a tmpfs', () => {
  it.each([
    [[], noExec | noSuid | noDev, ''],
    [['rw', 'exec'], noSuid | noDev, ''],
    [['ro', 'suid', 'dev'], readOnly | noExec, ''],
    [['ro', 'rw'], noExec | noSuid | noDev, ''],
    [
      ['size=64m', 'strictatime', 'mode=1777'],
      noExec | noSuid | noDev | strictAtime,
      'size=64m,mode=1777',
    ],
    [['private', 'uid=5'], noExec | noSuid | noDev, 'uid=5'],
  ])('%o become flags and data', (words, flags, data) => {
    expect(parseTmpfsOptions(words)).toEqual({ flags, data });
  });

  it.each(['bind', 'size', 'size=1,exec', 'constructor', 'upperdir=/etc', ''])(
    'do not include "%s"',
    (word) => {
      expect(() => parseTmpfsOptions([word])).toThrow('invalid tmpfs option');
    },
  );
});
