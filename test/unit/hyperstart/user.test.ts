import { describe, expect, it } from 'vitest';

import { RequestError } from '../../../hyperstart/request-error.ts';
import { resolveIdentity } from '../../../hyperstart/user.ts';

const files = {
  passwd: [
    'root:x:0:0:root:/root:/bin/sh',
    'broken line',
    'negative:x:-1:5:::',
    'www:x:33:33::/var/www:/bin/false',
    '1000:x:77:77:a user named like a number:/odd:',
    'nohome:x:44:44:::',
    'guest:x:1000:1000::/home/guest:/bin/sh',
  ].join('\n'),
  group: ['root:x:0:', 'wheel:x:10:root,www', 'www:x:33:', 'audio:x:29:www', 'odd'].join('\n'),
};

describe('resolving a user by the files of the image', () => {
  it.each([
    ['', { uid: 0, gid: 0, groups: [0, 10], home: '/root' }],
    ['root', { uid: 0, gid: 0, groups: [0, 10], home: '/root' }],
    ['0', { uid: 0, gid: 0, groups: [0, 10], home: '/root' }],
    ['www', { uid: 33, gid: 33, groups: [33, 10, 29], home: '/var/www' }],
    ['33', { uid: 33, gid: 33, groups: [33, 10, 29], home: '/var/www' }],
    ['www:audio', { uid: 33, gid: 29, groups: [29], home: '/var/www' }],
    ['www:5000', { uid: 33, gid: 5000, groups: [5000], home: '/var/www' }],
    ['www:', { uid: 33, gid: 33, groups: [33, 10, 29], home: '/var/www' }],
    [':audio', { uid: 0, gid: 29, groups: [29], home: '/root' }],
    ['nohome', { uid: 44, gid: 44, groups: [44], home: '/' }],
    ['4711', { uid: 4711, gid: 0, groups: [0], home: '/' }],
    ['4711:4712', { uid: 4711, gid: 4712, groups: [4712], home: '/' }],
    // The first line of passwd that fits by name or number wins, as with Docker.
    ['1000', { uid: 77, gid: 77, groups: [77], home: '/odd' }],
    ['2147483647', { uid: 2147483647, gid: 0, groups: [0], home: '/' }],
  ])('takes "%s"', (spec, identity) => {
    expect(resolveIdentity(files, spec, [])).toEqual(identity);
  });

  it.each([
    ['foo', 'unable to find user foo: no matching entries in passwd file'],
    ['-1', 'unable to find user -1: no matching entries in passwd file'],
    ['negative', 'unable to find user negative: no matching entries in passwd file'],
    ['root:foo', 'unable to find group foo: no matching entries in group file'],
    ['2147483648', 'uids and gids must be in range 0-2147483647: 2147483648'],
    ['0:99999999999', 'uids and gids must be in range 0-2147483647: 99999999999'],
  ])('refuses "%s" in the words of Docker', (spec, message) => {
    expect(() => resolveIdentity(files, spec, [])).toThrow(
      new RequestError('INVALID_ARGUMENT', message),
    );
  });

  it('needs no account files for numbers and root', () => {
    const none = { passwd: '', group: '' };
    expect(resolveIdentity(none, '', [])).toEqual({ uid: 0, gid: 0, groups: [0], home: '/' });
    expect(resolveIdentity(none, '5:6', ['7'])).toMatchObject({ uid: 5, gid: 6, groups: [6, 7] });
  });

  it('adds further groups by name and number, each once', () => {
    const { groups } = resolveIdentity(files, 'www', ['audio', '4000', 'wheel', '4000']);
    expect(groups).toEqual([33, 10, 29, 4000]);
  });

  it('refuses a further group that the image does not know', () => {
    expect(() => resolveIdentity(files, '', ['foo'])).toThrow('unable to find group foo');
  });
});
