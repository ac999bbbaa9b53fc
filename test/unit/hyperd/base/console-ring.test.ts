import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ConsoleRing } from '../../../../hyperd/base/console-ring.ts';

describe('ConsoleRing', () => {
  it('keeps the end of what was pushed, however it was cut', () => {
    const chunks = fc.array(fc.stringMatching(/^[a-z\n]{0,40}$/), { maxLength: 40 });
    fc.assert(
      fc.property(chunks, fc.integer({ min: 1, max: 64 }), (texts, capacity) => {
        const ring = new ConsoleRing(capacity);
        for (const text of texts) ring.push(Buffer.from(text));
        expect(ring.text()).toBe(texts.join('').slice(-capacity));
      }),
    );
  });

  it('keeps no reference to memory that the caller uses again', () => {
    const ring = new ConsoleRing(16);
    const chunk = Buffer.from('first');
    ring.push(chunk);
    chunk.fill('x');
    expect(ring.text()).toBe('first');
  });

  it('leaves out what could drive a terminal', () => {
    const ring = new ConsoleRing(64);
    ring.push(Buffer.from('a\u001b]0;title\u0007b\r\n\tc\u009b'));
    expect(ring.text()).toBe('a]0;titleb\n\tc');
  });
});
