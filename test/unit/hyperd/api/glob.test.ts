import { expect, test } from 'vitest';

import { matchesGlob } from '../../../../hyperd/api/glob.ts';

test.each([
  ['busybox', 'busybox', true],
  ['busybox', 'busy*', true],
  ['busybox', '*box', true],
  ['busybox', 'b*y*x', true],
  ['busybox', 'b?sybox', true],
  ['busybox', '**', true],
  ['busybox', 'busy', false],
  ['busybox', 'busybox?', false],
  ['busybox', '', false],
  ['a/b', '*', false],
  ['a/b', '*/*', true],
  ['a.b', 'a?b', true],
  ['axb', 'a.b', false],
  ['aab', '*ab', true],
  ['', '*', true],
])('%s against %s is %s', (text, pattern, expected) => {
  expect(matchesGlob(text, pattern)).toBe(expected);
});
