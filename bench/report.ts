import { type Summary, summarize } from './statistics.ts';

/** One figure; with a bar it is judged. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly summary: Summary;
  /** What was measured, in the order of the runs. */
  readonly samples: readonly number[];
  /** The most that it may be. */
  readonly bar?: number;
}

/** A figure without a bar, from its runs. */
export function figure(name: string, unit: string, samples: readonly number[]): Figure {
  return { name, unit, samples, summary: summarize(samples) };
}

/** True without a bar. */
export function isMet({ summary, bar }: Figure): boolean {
  return bar === undefined || summary.median <= bar;
}

/** A Markdown table of figures; what misses its bar is marked. */
export function toMarkdown(figures: readonly Figure[]): string {
  const rows = figures.map((one) => {
    const verdict = one.bar === undefined ? '' : isMet(one) ? 'met' : '**missed**';
    return `| ${one.name.replaceAll('|', '\\|')} | ${formatFigure(one)} | ${barOf(one)} | ${verdict} |`;
  });
  return ['| What | Measured | Bar | |', '|---|---|---|---|', ...rows, ''].join('\n');
}

/** The same for a terminal: missed bars are said, in red where colors are wanted. */
export function toText(figures: readonly Figure[], isColored: boolean): string {
  const width = Math.max(0, ...figures.map(({ name }) => name.length));
  const lines = figures.map((one) => {
    const verdict =
      one.bar === undefined ? '' : `  (bar ${barOf(one)}: ${isMet(one) ? 'met' : 'MISSED'})`;
    const line = `${one.name.padEnd(width)}  ${formatFigure(one)}${verdict}`;
    return isColored && !isMet(one) ? `\u001b[31m${line}\u001b[0m\n` : `${line}\n`;
  });
  return lines.join('');
}

function barOf({ bar }: Figure): string {
  return bar === undefined ? '' : `≤ ${String(bar)}`;
}

/** `1234 ms (1200–1300, 5 runs)`. */
function formatFigure({ summary, unit }: Figure): string {
  const { median, lowerQuartile, upperQuartile, runs } = summary;
  const middle = unit === '' ? formatNumber(median) : `${formatNumber(median)} ${unit}`;
  if (runs === 1) return `${middle} (1 run)`;
  const range = `${formatNumber(lowerQuartile)}–${formatNumber(upperQuartile)}`;
  return `${middle} (${range}, ${String(runs)} runs)`;
}

function formatNumber(value: number): string {
  return value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);
}
