import { describe, expect, it } from 'vitest';

import { formatRequests, mergeFragments, parseFragment } from '../../../kernel-config/fragment.ts';

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

describe('mergeFragments', () => {
  const base = parseFragment('a.conf', 'CONFIG_A=y\nCONFIG_B=y\n');

  it('keeps a symbol that two fragments ask for once', () => {
    const merged = mergeFragments([base, parseFragment('b.conf', 'CONFIG_B=y\nCONFIG_C=y\n')]);
    expect(merged.map(({ name, origin }) => [name, origin])).toEqual([
      ['CONFIG_A', 'a.conf:1'],
      ['CONFIG_B', 'a.conf:2'],
      ['CONFIG_C', 'b.conf:2'],
    ]);
  });

  it('names both places of a contradiction between fragments', () => {
    const other = parseFragment('b.conf', '# CONFIG_A is not set\n');
    expect(() => mergeFragments([base, other])).toThrow('b.conf:1: CONFIG_A contradicts a.conf:1');
  });

  it('lets overrides change what the fragments say', () => {
    const overrides = parseFragment('debug.conf', '# CONFIG_A is not set\n');
    expect(formatRequests(mergeFragments([base], overrides))).toBe(
      '# CONFIG_A is not set\nCONFIG_B=y\n',
    );
  });
});
