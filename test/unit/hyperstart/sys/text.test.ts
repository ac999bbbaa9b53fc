import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeBase64, encodeText } from '../../../../hyperstart/sys/text.ts';

describe('encodeText', () => {
  it('makes the UTF-8 that everybody makes, of any string', () => {
    const unit = fc.integer({ min: 0, max: 0xffff });
    const anything = fc.array(unit).map((units) => String.fromCharCode(...units));
    fc.assert(
      fc.property(fc.oneof(anything, fc.string({ unit: 'binary' })), (text) => {
        expect(new Uint8Array(encodeText(text))).toEqual(new TextEncoder().encode(text));
      }),
    );
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
