import { describe, expect, it } from 'vitest';

import { parseFragment } from '../../../kernel-config/fragment.ts';
import { findDifferences } from '../../../kernel-config/verify.ts';

describe('findDifferences', () => {
  const requests = parseFragment('a.conf', 'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=64\n');

  it('is silent when the final configuration has all that was asked for', () => {
    expect(findDifferences('CONFIG_A=y\nCONFIG_N=64\n# CONFIG_B is not set\n', requests)).toEqual(
      [],
    );
  });

  it('takes a symbol that is not mentioned for one that is not set', () => {
    expect(findDifferences('CONFIG_A=y\nCONFIG_N=64\n', requests)).toEqual([]);
  });

  it('names every symbol that is missing, on against the wish, or of another value', () => {
    expect(findDifferences('CONFIG_B=y\nCONFIG_N=8\n', requests)).toEqual([
      'a.conf:1: CONFIG_A should be y, is not set',
      'a.conf:2: CONFIG_B should be not set, is y',
      'a.conf:3: CONFIG_N should be 64, is 8',
    ]);
  });

  it('does not take a symbol for another one whose name it begins', () => {
    expect(findDifferences('CONFIG_AB=y\nCONFIG_N=64\n', requests)).toEqual([
      'a.conf:1: CONFIG_A should be y, is not set',
    ]);
  });
});
