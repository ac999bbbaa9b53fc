import { describe, expect, it } from 'vitest';

import { modeFlags } from '../../../bench/engines/hyperd.ts';
import { descendants, parseProcessStat } from '../../../bench/engines/processes.ts';

const stat = (pid: number, name: string, parent: number): string =>
  `${String(pid)} (${name}) S ${String(parent)} 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 9 9 9`;

describe('processes', () => {
  it('are read from /proc, whatever their name is', () => {
    expect(parseProcessStat(stat(42, 'a) b (c', 7))).toEqual({
      pid: 42,
      name: 'a) b (c',
      parent: 7,
      cpuSeconds: 2,
    });
  });

  it('are found beneath an ancestor, the ancestor first', () => {
    const all = [
      ...[stat(1, 'init', 0), stat(30, 'shim', 20), stat(20, 'tini', 10)],
      ...[stat(10, 'unshare', 1), stat(11, 'other', 1)],
    ].map(parseProcessStat);
    expect(descendants(all, 10).map(({ name }) => name)).toEqual(['unshare', 'tini', 'shim']);
    expect(descendants(all, 99)).toEqual([]);
  });
});

describe('the modes of hyperd', () => {
  const help = '  --template on|off   …\n  --pool-size N   …\n';

  it('are flags', () => {
    expect(modeFlags('default', help)).toEqual([]);
    expect(modeFlags('cold', help)).toEqual(['--template', 'off']);
    expect(modeFlags('template', help)).toEqual(['--template', 'on', '--pool-size', '0']);
    expect(modeFlags('pool', help)).toContain('--pool-size');
  });

  it('are cold only where hyperd has no template', () => {
    expect(modeFlags('cold', '')).toEqual([]);
    expect(() => modeFlags('template', '')).toThrow('no --template');
    expect(() => modeFlags('pool', '  --template on|off')).toThrow('no --pool-size');
  });
});
