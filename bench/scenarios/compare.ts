import type { Engine } from '../engines/engine.ts';
import type { EngineSet } from '../engines/lab.ts';
import type { BarId } from '../bars.ts';
import type { Findings } from '../findings.ts';
import {
  interleave,
  mapSamples,
  type Samples,
  type Series,
  withPresent,
} from '../measure/series.ts';

/** The same measurement of Hyper and of Docker with runc. */
export interface Pair<T> {
  readonly hyper: Samples<T>;
  readonly docker: Samples<T>;
}

interface Comparison<T> {
  readonly engines: EngineSet;
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly measure: (engine: Engine, round: number) => Promise<T>;
}

/** Measures hyperd as it comes, and Docker, in turns. */
export async function compare<T>(comparison: Comparison<T>): Promise<Pair<T>> {
  const { engines, rounds, signal, measure } = comparison;
  const subject = (name: 'default' | 'docker') =>
    withPresent(engines.get(name), (engine) => (round: number) => measure(engine, round));
  const subjects = { hyper: subject('default'), docker: subject('docker') };
  return await interleave<keyof Pair<T>, T>(rounds, subjects, signal);
}

export interface PairLabels {
  /** Of the measurement; '' when the scenario has one only. */
  readonly what: string;
  readonly unit: string;
  /** From milliseconds to the unit, where that is another one. */
  readonly convert?: (milliseconds: number) => number;
  readonly bar?: BarId;
}

/** Adds the times of a pair, in the unit that says most, and the ratio of the times. */
export function addPair(findings: Findings, times: Pair<number>, labels: PairLabels): void {
  const { what, unit, convert = (value: number): number => value, bar } = labels;
  const name = (subject: string): string => (what === '' ? subject : `${subject}: ${what}`);
  const shown = (series: Series): Series => mapSamples(series, convert);
  findings.add(name('Hyper'), unit, shown(times.hyper));
  findings.add(name('Docker with runc'), unit, shown(times.docker));
  const ratio = unit === 'ms' || unit === 's' ? 'Hyper ÷ Docker' : 'time, Hyper ÷ Docker';
  findings.addRatio(what === '' ? ratio : `${what}: ${ratio}`, [times.hyper, times.docker], bar);
}
