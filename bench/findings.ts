import type { BarId } from './bars.ts';
import { combine, isAbsent, mapSamples, type Samples, type Series } from './measure/series.ts';
import { endOf, type Span, type Trace } from './measure/span.ts';
import { medianSample, type Summary, summarize } from './measure/statistics.ts';

/** One figure; with a bar it is judged. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly summary: Summary;
  /** What was measured, in the order of the runs. */
  readonly samples: readonly number[];
  readonly bar?: BarId;
}

/** A figure that could not be measured. */
export interface Gap {
  readonly name: string;
  readonly reason: string;
  readonly bar?: BarId;
}

const longestReason = 200;

/** What one scenario found. */
export class Findings {
  readonly figures: Figure[] = [];
  readonly gaps: Gap[] = [];
  /** Each of one real run: medians of the spans would be those of a run that never was. */
  readonly traces: Trace[] = [];

  /** A figure of its own; of an absent series the reason is kept. */
  add(name: string, unit: string, series: Series, bar?: BarId): void {
    const judged = bar === undefined ? {} : { bar };
    if (isAbsent(series)) this.gaps.push({ name, reason: shorten(series.absent), ...judged });
    else this.figures.push({ name, unit, samples: series, summary: summarize(series), ...judged });
  }

  /** a ÷ b, run by run: the runs were made in turns, so that what slows both down is in neither. */
  addRatio(name: string, [a, b]: readonly [Series, Series], bar?: BarId): void {
    this.add(
      name,
      '',
      combine(a, b, (x, y) => x / y),
      bar,
    );
  }

  /** How long the whole took as a figure, and the run in the middle span by span. */
  addTrace(name: string, samples: Samples<readonly Span[]>): void {
    this.add(name, 'ms', mapSamples(samples, endOf));
    if (!isAbsent(samples)) this.traces.push({ name, spans: medianSample(samples, endOf) });
  }
}

/** The text of an error may be a program's whole output. */
function shorten(reason: string): string {
  const line = reason.replaceAll(/\s+/g, ' ').trim();
  return line.length <= longestReason ? line : `${line.slice(0, longestReason - 1)}…`;
}
