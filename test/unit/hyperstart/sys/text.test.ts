import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeBase64, encodeWords } from '../../../../hyperstart/sys/text.ts';
import { FakeNative } from '../../../support/fake-native.ts';

describe('encodeWords', () => {
  it('tells where each word is', () => {
    const native = new FakeNative();
    const words = ['', 'one', 'zwölf', ''];
    const { bytes, addresses } = encodeWords(native, words);
    expect(Buffer.from(bytes).toString()).toBe('\0one\0zwölf\0\0');
    const start = addresses[0] ?? 0;
    expect(addresses.map((address) => address - start)).toEqual([0, 1, 5, 12]);
  });

  it('makes two of a word with a NUL in it', () => {
    expect(encodeWords(new FakeNative(), ['a\0b']).addresses).toHaveLength(2);
  });
});

describe('decodeBase64', () => {
  it('gives back any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const decoded = decodeBase64(Buffer.from(bytes).toString('base64'));
        expect(decoded && new Uint8Array(decoded)).toEqual(bytes);
      }),
    );
  });

  it.each(['A', 'AAA', 'A===', '====', 'AA=A', 'AA A', 'AA-_', 'AAAé'])('refuses %s', (text) => {
    expect(decodeBase64(text)).toBeNull();
  });
});
