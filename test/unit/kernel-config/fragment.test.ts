import { describe, expect, it } from 'vitest';

import { formatRequests, parseFragment } from '../../../kernel-config/fragment.ts';
import { findDifferences } from '../../../kernel-config/verify.ts';

describe('parseFragment', () => {
  it('reads set and unset symbols and skips comments', () => {
    const requests = parseFragment(
      'a.conf',
      '# why\nCONFIG_A=y\n\n# CONFIG_B is not set\nCONFIG_C="x"\n',
    );
    expect(requests.map(({ name, value, origin }) => [name, value, origin])).toEqual([
      ['CONFIG_A', 'y', 'a.conf:2'],
      ['CONFIG_B', null, 'a.conf:4'],
      ['CONFIG_C', '"x"', 'a.conf:5'],
    ]);
  });

  it('refuses a line that is neither symbol nor comment, and a contradiction', () => {
    expect(() => parseFragment('a.conf', 'CONFIG_A y')).toThrow('a.conf:1: neither a symbol');
    expect(() => parseFragment('a.conf', 'CONFIG_A=y\n# CONFIG_A is not set')).toThrow(
      'a.conf:2: CONFIG_A contradicts a.conf:1',
    );
  });

  it('is the inverse of formatRequests', () => {
    const text = 'CONFIG_A=y\n# CONFIG_B is not set\n';
    expect(formatRequests(parseFragment('a.conf', text))).toBe(text);
  });
});

describe('findDifferences', () => {
  const requests = parseFragment('a.conf', 'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=64\n');

  it('is silent when the final configuration has all that was asked for', () => {
    expect(findDifferences('CONFIG_A=y\nCONFIG_N=64\n# CONFIG_B is not set\n', requests)).toEqual(
      [],
    );
  });

  it('names every symbol that is missing, on against the wish, or of another value', () => {
    expect(findDifferences('CONFIG_B=y\nCONFIG_N=8\n', requests)).toEqual([
      'a.conf:1: CONFIG_A should be y, is not set',
      'a.conf:2: CONFIG_B should be not set, is y',
      'a.conf:3: CONFIG_N should be 64, is 8',
    ]);
  });
});
