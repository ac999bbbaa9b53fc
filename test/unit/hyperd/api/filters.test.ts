import { expect, test } from 'vitest';

import {
  flagFilter,
  parseFilters,
  passesAny,
  passesLabels,
} from '../../../../hyperd/api/filters.ts';

test('both forms of filters say the same', () => {
  const list = parseFilters('{"label":["a=b","c"]}', ['label']);
  const map = parseFilters('{"label":{"a=b":true,"c":true,"d":false}}', ['label']);
  expect(list.get('label')).toEqual(['a=b', 'c']);
  expect(map.get('label')).toEqual(['a=b', 'c']);
});

test.each(['{', '[]', '"x"', '{"label":1}', '{"label":[1]}', '{"unknown":["x"]}'])(
  'filters %s are refused as bad input',
  (text) => {
    expect(() => parseFilters(text, ['label'])).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  },
);

test('an unknown filter is named', () => {
  expect(() => parseFilters('{"nope":["x"]}', ['label'])).toThrow("invalid filter 'nope'");
});

test('every label must be there, with its value when one is given', () => {
  const filters = parseFilters('{"label":["a=b","c"]}', ['label']);
  expect(passesLabels(filters, { a: 'b', c: '' })).toBe(true);
  expect(passesLabels(filters, { a: 'x', c: '' })).toBe(false);
  expect(passesLabels(filters, { a: 'b' })).toBe(false);
  expect(passesLabels(filters, null)).toBe(false);
});

test('one of several values is enough for other filters', () => {
  const filters = parseFilters('{"name":["a","b"]}', ['name']);
  expect(passesAny(filters, 'name', (name) => name === 'b')).toBe(true);
  expect(passesAny(filters, 'name', () => false)).toBe(false);
  expect(passesAny(filters, 'other', () => false)).toBe(true);
});

test('a flag filter must be a flag', () => {
  expect(flagFilter(parseFilters('{"dangling":["true"]}', ['dangling']), 'dangling')).toBe(true);
  expect(flagFilter(parseFilters('{"dangling":["0"]}', ['dangling']), 'dangling')).toBe(false);
  expect(flagFilter(new Map(), 'dangling')).toBeNull();
  const odd = parseFilters('{"dangling":["maybe"]}', ['dangling']);
  expect(() => flagFilter(odd, 'dangling')).toThrow("invalid filter 'dangling=[maybe]'");
});
