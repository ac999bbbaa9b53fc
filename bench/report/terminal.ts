import { formatLimit } from '../bars.ts';
import { formatMachine } from '../machine.ts';
import type { Trace } from '../measure/span.ts';
import { formatFigure } from './format.ts';
import { type BenchResult, judge, type ScenarioResult, type Verdict } from './result.ts';
import { toSpanTable } from './span-table.ts';

/** Makes text red or green; the same text where colors are not wanted. */
type Paint = (text: string, isGood: boolean) => string;

/** The figures of one scenario, and its runs span by span. */
export function toText(scenario: ScenarioResult, isColored: boolean): string {
  const paint = painter(isColored);
  const width = widest([...scenario.figures, ...scenario.gaps].map(({ name }) => name));
  const lines = [
    `${scenario.name}: ${scenario.title}`,
    ...scenario.figures.map((one) => `  ${one.name.padEnd(width)}  ${formatFigure(one)}`),
    ...scenario.gaps.map(({ name, reason }) =>
      paint(`  ${name.padEnd(width)}  not measured: ${reason}`, false),
    ),
    ...(scenario.traces.length === 0 ? [] : ['', ...toSpanLines(scenario.traces)]),
    ...(scenario.failure === null ? [] : [paint(`  failed: ${scenario.failure}`, false)]),
  ];
  return `${lines.join('\n')}\n`;
}

function toSpanLines(traces: readonly Trace[]): readonly string[] {
  const rows = [['span (ms)', ...traces.map(({ name }) => name)], ...toSpanTable(traces)];
  const width = widest(rows.map(([name = '']) => name));
  const cellWidth = widest(rows.flatMap(([, ...cells]) => cells));
  return rows.map(([name = '', ...cells]) => {
    const columns = cells.map((cell) => `  ${cell.padStart(cellWidth)}`).join('');
    return `  ${name.padEnd(width)}${columns}`.trimEnd();
  });
}

/** Machine and bars; what is not met is said once more at the end. */
export function toSummary(result: BenchResult, isColored: boolean): string {
  const paint = painter(isColored);
  const verdicts = judge(result.scenarios);
  const width = widest(verdicts.map(({ bar }) => bar.what));
  const rows = verdicts.map((verdict) => paint(toRow(verdict, width), verdict.outcome === 'met'));
  const count = (outcome: Verdict['outcome']): number =>
    verdicts.filter((verdict) => verdict.outcome === outcome).length;
  const total = `${String(count('met'))} of ${String(verdicts.length)} bars met, ${String(count('missed'))} missed, ${String(count('not measured'))} not measured`;
  return `${formatMachine(result.machine)}\n\n${rows.join('\n')}\n\n${paint(total, count('met') === verdicts.length)}\n`;
}

function toRow({ bar, outcome, figure, reason }: Verdict, width: number): string {
  const limits = `${formatLimit(bar, bar.limit)} (stretch ${String(bar.stretch)})`;
  const measured = figure === null ? reason : formatFigure(figure);
  return `${outcome.toUpperCase().padEnd(12)}  ${bar.what.padEnd(width)}  ${limits.padEnd(22)}  ${measured}`;
}

function painter(isColored: boolean): Paint {
  return (text, isGood) => (isColored ? `\u001b[${isGood ? '32' : '31'}m${text}\u001b[0m` : text);
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map(({ length }) => length));
}
