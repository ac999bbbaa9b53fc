import { describe, expect, it } from 'vitest';

import { inputsHash, sourcesHash } from '../../../images/inputs-hash.ts';

describe('inputsHash', () => {
  it('is the same whatever the order of the parts', () => {
    const first = new Map([
      ['a', '1'],
      ['b', '2'],
    ]);
    expect(inputsHash(new Map([...first].reverse()))).toBe(inputsHash(first));
    expect(inputsHash(first)).toMatch(/^[0-9a-f]{16}$/);
  });

  it('changes with a name, a content, and the border between them', () => {
    const hashes = [
      new Map([['a', '1']]),
      new Map([['b', '1']]),
      new Map([['a', '2']]),
      new Map([
        ['a', '1b'],
        ['c', ''],
      ]),
      new Map([
        ['a', '1'],
        ['bc', ''],
      ]),
    ].map(inputsHash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe('sourcesHash', () => {
  it('is stable while the sources are', async () => {
    expect(await sourcesHash()).toBe(await sourcesHash());
  });
});
