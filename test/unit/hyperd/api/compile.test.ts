import { expect, test } from 'vitest';

import { compileSchema } from '../../../../hyperd/api/schema/compile.ts';
import { CreateBody } from '../../../../hyperd/api/schema/container.ts';

const parse = compileSchema(CreateBody);

test('unknown fields are dropped, at every depth', () => {
  const parsed = parse({
    Image: 'busybox',
    Whatever: 1,
    HostConfig: { Memory: 1, Odd: {}, LogConfig: { Type: 'none', X: 1 } },
  });
  expect(parsed).toEqual({
    Image: 'busybox',
    HostConfig: { Memory: 1, LogConfig: { Type: 'none' } },
  });
});

test('null means absent, and case does not matter, as in Go', () => {
  const body = { image: 'busybox', Tty: null, hostconfig: { memory: 5 }, LABELS: { Key: 'Value' } };
  expect(parse(body)).toEqual({
    Image: 'busybox',
    HostConfig: { Memory: 5 },
    Labels: { Key: 'Value' },
  });
});

test('the exact name wins over another case of it', () => {
  expect(parse({ image: 'wrong', Image: 'right' })).toEqual({ Image: 'right' });
});

test('nothing is coerced and the field is named', () => {
  expect(() => parse({ Tty: 'true' })).toThrow('invalid JSON: Tty: must be boolean');
  expect(() => parse({ HostConfig: { Memory: '5' } })).toThrow(
    'invalid JSON: HostConfig.Memory: must be integer',
  );
  expect(() => parse({ Env: ['A=b', 5] })).toThrow('invalid JSON: Env.1: must be string');
  expect(() => parse([])).toThrow('invalid JSON: must be object');
  expect(() => parse('text')).toThrow('invalid JSON: must be object');
});

test('a __proto__ key pollutes nothing', () => {
  const parsed = parse(JSON.parse('{"Labels":{"__proto__":"x"},"__proto__":{"Tty":true}}'));
  expect(parsed).not.toHaveProperty('Tty');
  expect(({} as Record<string, unknown>)['Tty']).toBeUndefined();
});
