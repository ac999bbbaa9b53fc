import type { Figure } from '../findings.ts';
import { toFlameChart } from './flame-chart.ts';
import type { ScenarioResult } from './result.ts';
import { toSvg } from './svg.ts';

/** A picture beside the report. */
export interface Plot {
  readonly file: string;
  readonly svg: string;
}

/**
 * A flame chart of runs that are shown span by span. Else one plot for each unit of which a scenario has
 * several figures: a single bar shows nothing.
 */
export function plotsOf(scenario: ScenarioResult): readonly Plot[] {
  const { name, title, traces } = scenario;
  if (traces.length > 0) {
    return [{ file: `${name}.svg`, svg: toFlameChart(plain(title), traces) }];
  }
  const byUnit = Map.groupBy(scenario.figures, ({ unit }) => unit);
  return [...byUnit].flatMap(([unit, figures]) => toPlot(scenario, unit, figures));
}

function toPlot(
  { name, title }: ScenarioResult,
  unit: string,
  figures: readonly Figure[],
): readonly Plot[] {
  if (figures.length < 2) return [];
  const suffix = unit === '' ? 'ratio' : unit.replaceAll('%', 'percent').replaceAll(/\W+/g, '-');
  const heading = `${plain(title)} (${unit === '' ? 'ratio' : unit})`;
  return [{ file: `${name}-${suffix.toLowerCase()}.svg`, svg: toSvg(heading, figures) }];
}

/** Without Markdown. */
function plain(title: string): string {
  return title.replaceAll('`', '');
}
