import { describe, expect, it } from 'vitest';

import { inSequence, type Trace } from '../../../bench/measure/span.ts';
import { ticksTo, toFlameChart } from '../../../bench/report/flame-chart.ts';
import { namesInOrder, toSpanTable } from '../../../bench/report/span-table.ts';

function trace(name: string, durations: Readonly<Record<string, number>>): Trace {
  return { name, spans: inSequence(Object.entries(durations)) };
}

const cold = trace('cold', { spawn: 100, agent: 650, run: 40 });
const pool = trace('pool', { pool: 5, '<run> & "go"': 190, run: 0 });
const svg = toFlameChart('one start', [cold, pool]);

interface Bar {
  readonly x: number;
  readonly width: number;
  readonly color: string;
  readonly hint: string;
}

/** The bars of a chart, as someone sees them who points at them. */
function barsOf(text: string): readonly Bar[] {
  const pattern = /<rect x="(.+?)" .*?width="(.+?)" .*?fill="(.+?)"><title>(.+?)<\/title>/g;
  return [...text.matchAll(pattern)].map(([, x, width, color = '', hint = '']) => ({
    ...{ x: Number(x), width: Number(width), color, hint },
  }));
}

function textsOf(text: string): readonly string[] {
  return [...text.matchAll(/<text [^>]*>(.*?)<\/text>/g)].map(([, content = '']) => content);
}

describe('a flame chart', () => {
  it('has a bar for each span that took time, all on one axis', () => {
    expect(barsOf(svg).map(({ x, width, hint }) => ({ x, width, hint }))).toEqual([
      { x: 84, width: 100, hint: 'spawn: 100.0 ms, from 0.0 ms' },
      { x: 184, width: 650, hint: 'agent: 650.0 ms, from 100.0 ms' },
      { x: 834, width: 40, hint: 'run: 40.0 ms, from 750.0 ms' },
      { x: 84, width: 5, hint: 'pool: 5.0 ms, from 0.0 ms' },
      { x: 89, width: 190, hint: '&lt;run&gt; &amp; &quot;go&quot;: 190.0 ms, from 5.0 ms' },
    ]);
  });

  it('gives each name a color of its own, the same in the legend', () => {
    const colors = barsOf(svg).map(({ color }) => color);
    expect(new Set(colors).size).toBe(5);
    const swatches = svg.matchAll(/<rect [^>]*fill="([^"]+)"\/>\n<text [^>]*>([^<]*)</g);
    const legend = new Map([...swatches].map(([, color, name]) => [name, color]));
    expect(legend.get('agent')).toBe(colors[1]);
    expect(legend.get('&lt;run&gt; &amp; &quot;go&quot;')).toBe(colors[4]);
  });

  it('names spans within where there is room, tells the whole beside, all else in the legend', () => {
    const texts = textsOf(svg);
    const count = (text: string): number => texts.filter((one) => one === text).length;
    expect(count('agent')).toBe(2);
    expect(count('spawn')).toBe(2);
    // Of its row, of its column in the legend, and the span there: its bar is too narrow.
    expect(count('pool')).toBe(3);
    expect(texts).toEqual(expect.arrayContaining(['790 ms', '195 ms', '790.0', '195.0']));
  });

  it('has round ticks, and none beyond the end', () => {
    expect(textsOf(svg).slice(1, 9).join()).toBe(
      '0 ms,100 ms,200 ms,300 ms,400 ms,500 ms,600 ms,700 ms',
    );
    expect(ticksTo(1000)).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    expect(ticksTo(1001)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(ticksTo(2.5)).toEqual([0, 0.5, 1, 1.5, 2, 2.5]);
    expect(ticksTo(0)).toEqual([0]);
  });

  it('tells its title and all spans to those who cannot see it', () => {
    expect(svg).toContain('role="img" aria-labelledby="title description"');
    expect(svg).toContain('<title id="title">one start</title>');
    expect(svg).toContain(
      '<desc id="description">cold, 790 ms: spawn 100.0, agent 650.0, run 40.0; pool, 195 ms: ',
    );
  });

  it('is the same each time, and bears traces of nothing', () => {
    expect(toFlameChart('one start', [cold, pool])).toBe(svg);
    expect(toFlameChart('nothing', [trace('cold', { run: 0 })])).not.toMatch(/NaN|Infinity/);
    expect(toFlameChart('nothing', [])).not.toMatch(/NaN|Infinity/);
  });
});

describe('the table of spans', () => {
  it('has a row for each, a column for each trace, and the whole', () => {
    expect(toSpanTable([cold, pool])).toEqual([
      ['pool', '', '5.0'],
      ['<run> & "go"', '', '190.0'],
      ['spawn', '100.0', ''],
      ['agent', '650.0', ''],
      ['run', '40.0', '0.0'],
      ['whole', '790.0', '195.0'],
    ]);
  });

  it('puts what only some have where they have it', () => {
    const traces = [
      trace('boot', { prepare: 1, spawn: 1, agent: 1, run: 1 }),
      trace('template', { prepare: 1, spawn: 1, restored: 1, agent: 1, run: 1, end: 1 }),
    ];
    expect(namesInOrder(traces)).toEqual(['prepare', 'spawn', 'restored', 'agent', 'run', 'end']);
  });

  it('adds up spans of one name', () => {
    const spans = inSequence([
      ['wait', 1],
      ['work', 2],
      ['wait', 3],
    ]);
    expect(toSpanTable([{ name: 'a', spans }])).toEqual([
      ['wait', '4.0'],
      ['work', '2.0'],
      ['whole', '6.0'],
    ]);
  });
});
