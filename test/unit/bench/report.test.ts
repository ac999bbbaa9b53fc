import { describe, expect, it } from 'vitest';

import { figure, isMet, toMarkdown, toText } from '../../../bench/report.ts';

const fast = { ...figure('fast', '', [1.2]), bar: 1.5 };
const slow = { ...figure('slow', '', [1.9, 2.1]), bar: 1.5 };
const plain = figure('`a | b`', 'ms', [1200, 1300, 1234]);

describe('reports', () => {
  it('judge only what has a bar', () => {
    expect([fast, slow, plain].map(isMet)).toEqual([true, false, true]);
    expect(isMet({ ...figure('equal', '', [1.5]), bar: 1.5 })).toBe(true);
  });

  it('mark a missed bar in Markdown, where a bar in a name does not end its cell', () => {
    expect(toMarkdown([fast, slow, plain]).split('\n').slice(2)).toEqual([
      '| fast | 1.20 (1 run) | ≤ 1.5 | met |',
      '| slow | 2.00 (1.95–2.05, 2 runs) | ≤ 1.5 | **missed** |',
      '| `a \\| b` | 1234 ms (1217–1267, 3 runs) |  |  |',
      '',
    ]);
  });

  it('say a missed bar in words, and in red only where colors are wanted', () => {
    expect(toText([slow], true)).toBe(
      '\u001b[31mslow  2.00 (1.95–2.05, 2 runs)  (bar ≤ 1.5: MISSED)\u001b[0m\n',
    );
    expect(toText([fast], true)).toBe('fast  1.20 (1 run)  (bar ≤ 1.5: met)\n');
    expect(toText([slow], false)).not.toContain('\u001b');
  });
});
