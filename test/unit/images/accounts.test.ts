import { describe, expect, it } from 'vitest';

import { fromMasters, withAccounts } from '../../../images/accounts.ts';

const files = fromMasters('root:*:0:0:root:/root:/bin/bash\n', 'root:*:0:\nshadow:*:42:\n');

describe('fromMasters', () => {
  it('moves passwords to the shadow files and locks them', () => {
    expect(files.passwd).toBe('root:x:0:0:root:/root:/bin/bash\n');
    expect(files.group).toBe('root:x:0:\nshadow:x:42:\n');
    expect(files.shadow).toMatch(/^root:\*:\d+:0:99999:7:::\n$/);
    expect(files.gshadow).toBe('root:*::\nshadow:*::\n');
  });
});

describe('withAccounts', () => {
  it('adds a user with a group of the same name and number to all four files', () => {
    const { passwd, group, shadow, gshadow } = withAccounts(files, [
      { name: 'redis', id: 999, home: '/data' },
      { name: 'node', id: 1000, home: '/home/node', shell: '/bin/bash' },
    ]);
    expect(passwd).toContain('\nredis:x:999:999::/data:/usr/sbin/nologin\n');
    expect(passwd).toContain('\nnode:x:1000:1000::/home/node:/bin/bash\n');
    expect(group).toContain('\nredis:x:999:\n');
    expect(shadow).toContain('\nredis:*:');
    expect(gshadow).toContain('\nnode:*::\n');
  });

  it.each([
    ['name', { name: 'shadow', id: 999, home: '/' }],
    ['number', { name: 'redis', id: 42, home: '/' }],
  ])('refuses a %s that is taken', (_, account) => {
    expect(() => withAccounts(files, [account])).toThrow(/shadow:x:42/);
  });
});
