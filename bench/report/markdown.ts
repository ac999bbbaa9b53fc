import { formatLimit } from '../bars.ts';
import { formatMachine } from '../machine.ts';
import { formatFigure } from './format.ts';
import { type BenchResult, judge, type ScenarioResult, type Verdict } from './result.ts';
import { toSpanTable } from './span-table.ts';

/** The report as Markdown: machine, bars, then each scenario with its plots. */
export function toMarkdown(
  result: BenchResult,
  plotsOf: (scenario: ScenarioResult) => readonly string[],
): string {
  return [
    `${formatMachine(result.machine)}\n`,
    table(['Bar', 'Limit', 'Stretch', 'Measured', ''], judge(result.scenarios).map(barRow)),
    ...result.scenarios.map((scenario) => toSection(scenario, plotsOf(scenario))),
  ].join('\n');
}

function barRow({ bar, outcome, figure, reason }: Verdict): readonly string[] {
  return [
    bar.what,
    formatLimit(bar, bar.limit),
    formatLimit(bar, bar.stretch),
    figure === null ? reason : formatFigure(figure),
    outcome === 'met' ? outcome : `**${outcome}**`,
  ];
}

function toSection(scenario: ScenarioResult, plots: readonly string[]): string {
  const { traces } = scenario;
  const spanHead = ['Span of the median run, ms', ...traces.map(({ name }) => name)];
  const measured = scenario.figures.map((one) => [one.name, formatFigure(one)]);
  const missing = scenario.gaps.map(({ name, reason }) => [name, `not measured: ${reason}`]);
  return [
    `## ${scenario.name}: ${scenario.title}\n`,
    ...(scenario.failure === null ? [] : [`**Failed:** ${scenario.failure}\n`]),
    table(['What', 'Measured'], [...measured, ...missing]),
    ...(traces.length === 0 ? [] : [table(spanHead, toSpanTable(traces))]),
    ...plots.map((file) => `![${scenario.name}](${file})\n`),
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.trim().replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n');
}
