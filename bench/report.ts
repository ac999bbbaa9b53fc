import type { Summary } from './statistics.ts';

/** One figure; with a bar it is judged. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly bar?: string;
  readonly isMet?: boolean;
}

/** A Markdown table of figures; what misses its bar is marked. */
export function toMarkdown(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, bar, isMet }) => {
    const verdict = isMet === undefined ? '' : isMet ? 'met' : '**missed**';
    return `| ${name} | ${value} | ${bar ?? ''} | ${verdict} |`;
  });
  return ['| What | Measured | Bar | |', '|---|---|---|---|', ...rows, ''].join('\n');
}

/** The same for a terminal: missed bars in red, unless NO_COLOR is set. */
export function toText(figures: readonly Figure[], isColored: boolean): string {
  const width = Math.max(...figures.map(({ name }) => name.length));
  return figures
    .map(({ name, value, bar, isMet }) => {
      const text = `${name.padEnd(width)}  ${value}${bar === undefined ? '' : `  (bar ${bar}: ${isMet === true ? 'met' : 'MISSED'})`}\n`;
      return isMet === false && isColored ? `\u001b[31m${text}\u001b[0m` : text;
    })
    .join('');
}

/** `1234 ms (1200–1300, 5 runs)`. */
export function formatSummary(summary: Summary, unit: string): string {
  const { median, lowerQuartile, upperQuartile, runs } = summary;
  const numbers = [median, lowerQuartile, upperQuartile].map((value) =>
    value.toFixed(value < 10 ? 2 : 0),
  );
  return `${numbers[0] ?? ''} ${unit} (${numbers[1] ?? ''}–${numbers[2] ?? ''}, ${String(runs)} runs)`;
}
