import { type Bar, type BarId, barIds, bars, meets } from '../bars.ts';
import type { Figure, Gap } from '../findings.ts';
import type { Machine } from '../machine.ts';
import type { Trace } from '../measure/span.ts';

/** What one scenario found. */
export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly gaps: readonly Gap[];
  /** Runs that are shown span by span. */
  readonly traces: readonly Trace[];
  /** Why it ended before its end; null when it did not. */
  readonly failure: string | null;
}

/** One run of the bench. */
export interface BenchResult {
  readonly machine: Machine;
  readonly scenarios: readonly ScenarioResult[];
}

/** What became of one bar. */
export interface Verdict {
  readonly bar: Bar;
  readonly outcome: 'met' | 'missed' | 'not measured';
  /** Null when it was not measured. */
  readonly figure: Figure | null;
  /** Why it was not measured; else ''. */
  readonly reason: string;
}

/** Judges every bar, also those that were not measured. */
export function judge(results: readonly ScenarioResult[]): readonly Verdict[] {
  return barIds.map((id) => judgeOne(id, results));
}

function judgeOne(id: BarId, results: readonly ScenarioResult[]): Verdict {
  const bar: Bar = bars[id];
  const result = results.find(({ name }) => name === bar.scenario);
  const figure = result?.figures.find((one) => one.bar === id) ?? null;
  if (figure !== null) {
    const outcome = meets(bar, figure.summary.median) ? 'met' : 'missed';
    return { bar, outcome, figure, reason: '' };
  }
  const gap = result?.gaps.find((one) => one.bar === id);
  const reason = gap?.reason ?? result?.failure ?? `scenario ${bar.scenario} was not asked for`;
  return { bar, outcome: 'not measured', figure, reason };
}
