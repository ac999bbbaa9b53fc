import { expect, test } from 'vitest';

import { encoderFor, toFrame, toFrameParts } from '../../../../hyperd/api/raw-stream.ts';

test('a frame is the stream number, three zeros, the length and the bytes', () => {
  const frame = toFrame({ stream: 'stderr', bytes: Buffer.from('hello') });
  expect(frame).toEqual(Buffer.from('\x02\0\0\0\0\0\0\x05hello', 'latin1'));
});

test('a terminal gets its bytes bare', () => {
  const bytes = Buffer.from('hello');
  expect(encoderFor(true)({ stream: 'stdout', bytes })).toBe(bytes);
});

test('a large chunk is not copied into its frame', () => {
  const bytes = Buffer.alloc(100_000, 'x');
  const parts = toFrameParts({ stream: 'stdout', bytes });
  expect(parts[1]).toBe(bytes);
  expect(Buffer.concat(parts)).toEqual(toFrame({ stream: 'stdout', bytes }));
});
