import { describe, expect, it } from 'vitest';

import { barIds } from '../../../bench/bars.ts';
import { Findings } from '../../../bench/findings.ts';
import type { Machine } from '../../../bench/machine.ts';
import { inSequence } from '../../../bench/measure/span.ts';
import { toMarkdown } from '../../../bench/report/markdown.ts';
import { plotsOf } from '../../../bench/report/plots.ts';
import { judge, type ScenarioResult } from '../../../bench/report/result.ts';
import { toSvg } from '../../../bench/report/svg.ts';
import { toSummary, toText } from '../../../bench/report/terminal.ts';

const red = '\u001b[31m';
const green = '\u001b[32m';

const machine: Machine = {
  date: '2026-01-02',
  cpu: 'CPU × 2',
  memoryGiB: 24,
  loadAverage: 0.5,
  linux: '6.1',
  qemu: '7.2',
  accelerator: 'TCG',
  node: '24',
  dockerClient: '28',
  peer: 'Docker Engine 26',
  commit: 'abc',
  hyperKernel: '6.12',
};

function scenario(name: string, fill: (findings: Findings) => void): ScenarioResult {
  const findings = new Findings();
  fill(findings);
  const { figures, gaps, traces } = findings;
  return { name, title: `\`${name}\``, figures, gaps, traces, failure: null };
}

const exec = scenario('exec', (findings) => {
  findings.add('Hyper', 'ms', [60, 64]);
  findings.add('a | b', 'ms', [80]);
  findings.add('ratio', '', [0.75], 'exec');
});
const reclaim = scenario('reclaim', (findings) => {
  findings.add('back', '%', [92.5], 'reclaim');
});
const parallel = scenario('parallel', (findings) => {
  findings.add('ratio', '', { absent: 'no Docker' }, 'parallel');
});
const sequence = { ...scenario('sequence', () => undefined), failure: 'it broke' };
const traced = scenario('traced', (findings) => {
  findings.addTrace('cold', [inSequence([['agent', 650]]), inSequence([['agent', 700]])]);
  findings.addTrace('pool', [inSequence([['run', 40]])]);
  findings.addTrace('template', { absent: 'no templates' });
});
const result = { machine, scenarios: [exec, reclaim, parallel, sequence] };

describe('verdicts', () => {
  it('are said of every bar: met, missed, or not measured with the reason', () => {
    const verdicts = judge(result.scenarios);
    expect(verdicts).toHaveLength(barIds.length);
    const said = new Map(verdicts.map((verdict, index) => [barIds[index], verdict]));
    expect(said.get('exec')).toMatchObject({ outcome: 'missed', reason: '' });
    expect(said.get('reclaim')).toMatchObject({ outcome: 'met', reason: '' });
    const missing = { outcome: 'not measured', figure: null };
    expect(said.get('parallel')).toMatchObject({ ...missing, reason: 'no Docker' });
    expect(said.get('growth')).toMatchObject({ ...missing, reason: 'it broke' });
    expect(said.get('pool')).toMatchObject({
      ...missing,
      reason: 'scenario start was not asked for',
    });
  });

  it('count a figure on the bar as met', () => {
    const onBar = scenario('exec', (findings) => {
      findings.add('ratio', '', [0.7], 'exec');
    });
    const verdict = judge([onBar]).find(({ figure }) => figure !== null);
    expect(verdict?.outcome).toBe('met');
  });
});

describe('the report on a terminal', () => {
  it('shows figures, and what is missing in red', () => {
    expect(toText(exec, true)).toBe(
      [
        'exec: `exec`',
        '  Hyper  62.0 ms (61.0–63.0, 2 runs)',
        '  a | b  80.0 ms (1 run)',
        '  ratio  0.75 (1 run)',
        '',
      ].join('\n'),
    );
    expect(toText(parallel, true)).toContain(`${red}  ratio  not measured: no Docker\u001b[0m`);
    expect(toText(sequence, false)).toContain('failed: it broke');
  });

  it('shows runs span by span', () => {
    expect(toText(traced, false)).toBe(
      [
        'traced: `traced`',
        '  cold      675 ms (663–688, 2 runs)',
        '  pool      40.0 ms (1 run)',
        '  template  not measured: no templates',
        '',
        '  span (ms)   cold   pool',
        '  run                40.0',
        '  agent      650.0',
        '  whole      650.0   40.0',
        '',
      ].join('\n'),
    );
  });

  it('shows bars that are met in green and all others in red', () => {
    const lines = toSummary(result, true).split('\n');
    const line = (word: string): string => lines.find((one) => one.includes(word)) ?? '';
    expect(line('MISSED').startsWith(red)).toBe(true);
    expect(line('MISSED')).toMatch(/docker exec.*≤ 0\.7 \(stretch 0\.4\).*0\.75/);
    expect(line('NOT MEASURED').startsWith(red)).toBe(true);
    expect(line('freed guest memory').startsWith(`${green}MET `)).toBe(true);
    expect(lines.at(-2)).toContain('1 of 12 bars met, 1 missed, 10 not measured');
  });

  it('has no colors where they are not wanted', () => {
    expect(toSummary(result, false)).not.toContain('\u001b');
  });
});

describe('the report as Markdown', () => {
  const markdown = toMarkdown(result, (one) => (one === exec ? ['exec-ms.svg'] : []));

  it('has the machine, a table of bars, and one for each scenario', () => {
    expect(markdown).toMatch(/^2026-01-02; CPU × 2, 24 GiB.*Docker Engine 26; commit abc$/m);
    expect(markdown).toContain('| ≤ 0.7 | ≤ 0.4 | 0.75 (1 run) | **missed** |');
    expect(markdown).toContain('| ≥ 90 % | ≥ 95 % | 92.5 % (1 run) | met |');
    expect(markdown).toContain('| ratio | not measured: no Docker |');
    expect(markdown).toContain('**Failed:** it broke');
    expect(markdown).toContain('![exec](exec-ms.svg)');
  });

  it('has a table of runs span by span', () => {
    const text = toMarkdown({ machine, scenarios: [traced] }, () => []);
    expect(text).toContain('| Span of the median run, ms | cold | pool |');
    expect(text).toContain('| run |  | 40.0 |\n| agent | 650.0 |  |\n| whole | 650.0 | 40.0 |');
  });

  it('does not let a bar in a name end its cell', () => {
    expect(markdown).toContain('| a \\| b | 80.0 ms (1 run) |');
  });
});

describe('plots', () => {
  it('are drawn for each unit of several figures', () => {
    expect(plotsOf(exec).map(({ file }) => file)).toEqual(['exec-ms.svg']);
    const shares = scenario('idle', (findings) => {
      findings.add('a', '% of a core', [1]);
      findings.add('b', '% of a core', [2]);
      findings.add('a', '', [1]);
      findings.add('b', '', [2]);
    });
    expect(plotsOf(shares).map(({ file }) => file)).toEqual([
      'idle-percent-of-a-core.svg',
      'idle-ratio.svg',
    ]);
  });

  it('are a flame chart of runs that are shown span by span', () => {
    const plots = plotsOf(traced);
    expect(plots.map(({ file }) => file)).toEqual(['traced.svg']);
    expect(plots[0]?.svg).toContain('agent: 650.0 ms, from 0.0 ms');
  });

  it('tell their title and figures to those who cannot see them', () => {
    const svg = toSvg('title', exec.figures);
    expect(svg).toContain('<title id="title">title</title>');
    expect(svg).toContain('Hyper: 62.0 ms; a | b: 80.0 ms');
  });

  it('have a bar to the median and whiskers at the quartiles', () => {
    const findings = new Findings();
    findings.add('<quick> & "good"', 'ms', [50]);
    findings.add('Docker', 'ms', [100, 200]);
    const svg = toSvg('title', findings.figures);
    expect(svg).toContain('&lt;quick&gt; &amp; &quot;good&quot;');
    // The upper quartile, 175, is the whole width of 420.
    expect(svg).toContain('width="120.0" height="16"');
    expect(svg).toContain('M680.0 78H800.0M680.0 73V83M800.0 73V83');
    expect(svg).toContain('>150 ms</text>');
  });

  it('bear figures that are zero', () => {
    const findings = new Findings();
    findings.add('nothing', 'ms', [0]);
    expect(toSvg('title', findings.figures)).not.toContain('NaN');
  });
});
