import { Command } from 'commander';
import fc from 'fast-check';
import { expect, it } from 'vitest';

import { parseRunCall } from '../../../hyper-cli/commands/run-call.ts';
import { runFlags, runOnlyFlags } from '../../../hyper-cli/commands/run-flags.ts';
import {
  type RunOptions,
  withFlags,
  withRunOptions,
} from '../../../hyper-cli/commands/run-options.ts';

interface Read {
  readonly host?: string;
  readonly command?: readonly string[];
  readonly options?: Partial<RunOptions>;
}

it.each<[args: readonly string[], read: Read]>([
  [['run', 'x'], {}],
  [['-H', 'tcp://a:1', 'run', 'x'], { host: 'tcp://a:1' }],
  [['run', '--rm', 'x', 'ls', '--', '-d'], { command: ['ls', '--', '-d'], options: { rm: true } }],
  [['run', '-it', 'x'], { options: { interactive: true, tty: true } }],
  [['run', '-te', 'A=1', '-eB=2', 'x'], { options: { tty: true, env: ['A=1', 'B=2'] } }],
  [['run', '--log-opt=max-size=1m', 'x'], { options: { logOpt: ['max-size=1m'] } }],
  [['run', '--name', '--rm', 'x'], { options: { name: '--rm' } }],
  [['run', '--pull', 'never', '--timeline', 'x'], { options: { pull: 'never', timeline: true } }],
])('%j is read', (args, { host, command = [], options }) => {
  const read = { host, image: 'x', command, options: { pull: 'missing', ...options } };
  expect(parseRunCall(args)).toEqual(read);
});

it.each([
  [[]],
  [['ps']],
  [['-H', 'run']],
  [['--host=unix:///x', 'run', 'busybox']],
  [['run']],
  [['run', '--rm']],
  [['run', '--name']],
  [['run', '-e']],
  [['run', '-d', 'busybox']],
  [['run', '-itd', 'busybox']],
  [['run', '--help']],
  [['run', '--nope', 'busybox']],
  [['run', '-ix', 'busybox']],
  [['run', '--rm=true', 'busybox']],
  [['run', '--', 'busybox']],
  [['run', '-', 'busybox']],
])('%j is left to commander', (args) => {
  expect(parseRunCall(args)).toBeNull();
});

/** What commander makes of a call of `run`; null when it refuses it. */
function parseWithCommander(args: readonly string[]) {
  const command = withFlags(withRunOptions(new Command('run')), runOnlyFlags)
    .argument('<image>')
    .argument('[command...]')
    .passThroughOptions()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
    .exitOverride();
  let called: unknown = null;
  command.action((image: string, words: string[], options: RunOptions) => {
    called = { host: undefined, image, command: words, options };
  });
  try {
    command.parse(args, { from: 'user' });
  } catch {
    return null;
  }
  return called;
}

it('whatever is read is what commander reads', () => {
  const names = [...runFlags, ...runOnlyFlags].flatMap(({ flag }) =>
    flag.replace(/ <.*/, '').split(', '),
  );
  const name = fc.constantFrom(...names);
  const value = fc.constantFrom('', 'a', 'A=1', '-x', '--rm', '-', '--', '=', 'busybox', '1');
  const word = fc.oneof(
    name,
    value,
    fc.tuple(name, value).map(([flag, text]) => flag + text),
    fc.tuple(name, value).map(([flag, text]) => `${flag}=${text}`),
    fc.tuple(name, name).map(([first, second]) => first + second.replace(/^-+/, '')),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      const call = parseRunCall(['run', ...words]);
      fc.pre(call !== null);
      expect(call).toEqual(parseWithCommander(words));
    }),
    { numRuns: 500 },
  );
});
