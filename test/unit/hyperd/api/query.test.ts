import { expect, test } from 'vitest';

import {
  flagParameter,
  integerParameter,
  parseQuery,
  textParameter,
  timestampParameter,
} from '../../../../hyperd/api/schema/query.ts';

test('repeated names are kept in order and the first value counts', () => {
  const query = parseQuery('t=1&t=2&name=a%2Fb+c');
  expect(query['t']).toEqual(['1', '2']);
  expect(textParameter(query['t'])).toBe('1');
  expect(textParameter(query['name'])).toBe('a/b c');
});

test('a name like __proto__ is a name like any other', () => {
  const query = parseQuery('__proto__=x');
  expect(Object.keys(query)).toEqual(['__proto__']);
  expect(textParameter(query['constructor'])).toBe('');
});

test.each([
  ['1', true],
  ['true', true],
  ['True', true],
  ['anything', true],
  ['', false],
  ['0', false],
  ['no', false],
  ['False', false],
  ['none', false],
])('the flag %j is %s', (text, expected) => {
  expect(flagParameter([text])).toBe(expected);
});

test('a flag that is not given has its default', () => {
  expect(flagParameter(undefined)).toBe(false);
  expect(flagParameter(undefined, true)).toBe(true);
});

test('a number must be a whole one', () => {
  expect(integerParameter(['-1'], 't')).toBe(-1);
  expect(integerParameter(undefined, 't')).toBeNull();
  expect(() => integerParameter(['1.5'], 't')).toThrow('t: "1.5" is not a whole number');
  expect(() => integerParameter(['1e999'], 't')).toThrow();
  expect(() => integerParameter(['9'.repeat(40)], 't')).toThrow();
});

test('a time keeps every digit of its fraction', () => {
  expect(timestampParameter(['1136073600.000000001'], 'since')).toBe(1136073600000000001n);
  expect(timestampParameter(['1136073600.5'], 'since')).toBe(1136073600500000000n);
  expect(timestampParameter(['1136073600'], 'since')).toBe(1136073600000000000n);
  expect(timestampParameter(['0'], 'since')).toBeNull();
  expect(() => timestampParameter(['yesterday'], 'since')).toThrow('invalid value for "since"');
});
