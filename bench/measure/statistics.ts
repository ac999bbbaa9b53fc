/** Median and quartiles of a sample; the sample needs no order. */
export interface Summary {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly runs: number;
}

/** Throws for an empty sample, and for one with a value that is no number: a measurement went wrong. */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new Error('a summary of no runs');
  if (!values.every(Number.isFinite)) throw new Error(`a summary of ${values.join(', ')}`);
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
    runs: sorted.length,
  };
}

/** The one whose value is the median; of an even number, the lesser of the two in the middle. */
export function medianSample<T>(samples: readonly T[], valueOf: (sample: T) => number): T {
  const sorted = [...samples].sort((a, b) => valueOf(a) - valueOf(b));
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error('the median of no runs');
  return middle;
}

/** Linear interpolation between the two nearest ranks. */
function quantile(sorted: readonly number[], share: number): number {
  const rank = (sorted.length - 1) * share;
  const below = sorted[Math.floor(rank)] ?? 0;
  const above = sorted[Math.ceil(rank)] ?? below;
  return below + (above - below) * (rank - Math.floor(rank));
}
