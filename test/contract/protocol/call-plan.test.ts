import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { errnoMask, keptDescriptors, pathOf } from '../../../hyperstart/sys/call-plan.ts';
import { buildPump, PumpProcess } from '../../support/pump-process.ts';

const AT_FDCWD = -100;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const ENOENT = 2;
const EEXIST = 17;
const exited = (code: number): number => code << 8;

let binary: string;
let directory: string;
let pump: PumpProcess;

beforeAll(async () => {
  binary = await buildPump();
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'plan-'));
  pump = new PumpProcess(binary);
  await pump.connect();
});

afterEach(async () => {
  await pump[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

type Step = readonly [method: string, what: unknown, ...rest: unknown[]];

const carryOut = (...steps: readonly Step[]): Promise<unknown> => pump.ask({ type: 'plan', steps });

const inside = (name: string): string => path.join(directory, name);
const open = (name: string): readonly unknown[] => [
  ...['openat', AT_FDCWD, inside(name)],
  ...[O_WRONLY | O_CREAT, 0o600],
];
const makeDirectory = (name: string): readonly unknown[] => [
  ...['mkdirat', AT_FDCWD, inside(name), 0o700],
];
const runTrue: Step = ['add', ['execve', '/bin/true', null, null]];
const has = (name: string): Promise<boolean> =>
  readFile(inside(name)).then(
    () => true,
    (error: unknown) => (error as { code: string }).code === 'EISDIR',
  );

describe('the plan of a child', () => {
  it('runs its calls, passes results on by descriptor and by path, and ends in its program', async () => {
    const answer = await carryOut(
      ['add', open('file')],
      ['keep', 'file'],
      ['add', ['write', keptDescriptors.file, 'text', 4]],
      ['add', ['symlinkat', pathOf('file'), AT_FDCWD, inside('link')]],
      ['add', ['openat', AT_FDCWD, pathOf('file'), O_WRONLY, 0]],
      ['keep', 'opened'],
      ['add', ['close', keptDescriptors.opened]],
      runTrue,
    );
    expect(answer).toEqual({ report: [], status: exited(0) });
    expect(await readFile(inside('file'), 'utf8')).toBe('text');
  });

  it('tells the call that fails, and makes no further one', async () => {
    const answer = await carryOut(
      ['add', makeDirectory('one')],
      ['add', makeDirectory('none/two')],
      ['add', makeDirectory('three')],
      runTrue,
    );
    expect(answer).toEqual({ report: [1, ENOENT], status: exited(127) });
    expect([await has('one'), await has('three')]).toEqual([true, false]);
  });

  it('goes on after an error that is tolerated, and only after that', async () => {
    const tolerates = errnoMask(EEXIST);
    const twice: Step = ['add', makeDirectory('one'), { tolerates }];
    expect(await carryOut(twice, twice, runTrue)).toEqual({ report: [], status: exited(0) });
    expect(await carryOut(['add', makeDirectory('no/x'), { tolerates }], runTrue)).toEqual({
      report: [0, ENOENT],
      status: exited(127),
    });
  });

  it('leaves groups out as the call before them ended', async () => {
    const tolerates = errnoMask(EEXIST);
    const answer = await carryOut(
      ['unless', makeDirectory('a'), { tolerates }, [['add', makeDirectory('after-a')]]],
      [
        'unless',
        makeDirectory('a'),
        { tolerates },
        [
          ['add', makeDirectory('not')],
          ['add', makeDirectory('this')],
        ],
      ],
      ['orElse', makeDirectory('b'), { tolerates }, [['add', makeDirectory('nor-this')]]],
      ['orElse', makeDirectory('b'), { tolerates }, [['add', makeDirectory('after-b')]]],
      runTrue,
    );
    expect(answer).toEqual({ report: [], status: exited(0) });
    const names = ['after-a', 'not', 'this', 'nor-this', 'after-b'];
    expect(await Promise.all(names.map(has))).toEqual([true, false, false, false, true]);
  });

  it('says so when it has no end', async () => {
    expect(await carryOut(['add', makeDirectory('one')])).toEqual({
      report: [1, 0],
      status: exited(127),
    });
  });

  it('leaves the parent as it was', async () => {
    await carryOut(['add', ['umask', 0o077]], ['add', ['chdir', directory]], runTrue);
    expect(await pump.ask({ type: 'echo', text: 'still here' })).toEqual({ length: 10 });
  });
});
