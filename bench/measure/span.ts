/** A part of something, in milliseconds from the moment that all parts count from. */
export interface Span {
  readonly name: string;
  readonly startMs: number;
  readonly durationMs: number;
}

/** The spans of one thing that happened. */
export interface Trace {
  readonly name: string;
  readonly spans: readonly Span[];
}

/** Spans each of which begins where the one before it ends, the first at 0. */
export function inSequence(
  durations: readonly (readonly [name: string, ms: number])[],
): readonly Span[] {
  let endMs = 0;
  return durations.map(([name, durationMs]) => {
    const startMs = endMs;
    endMs += durationMs;
    return { name, startMs, durationMs };
  });
}

/** Where the last of the spans ends; 0 without any. */
export function endOf(spans: readonly Span[]): number {
  return Math.max(0, ...spans.map(({ startMs, durationMs }) => startMs + durationMs));
}
