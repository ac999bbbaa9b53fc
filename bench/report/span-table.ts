import { endOf, type Trace } from '../measure/span.ts';

/**
 * Milliseconds of each span, a row for a span and a column for a trace; the last row is the whole. Rows
 * are in the order in which the spans come in the traces, '' where a trace has no such span.
 */
export function toSpanTable(traces: readonly Trace[]): readonly (readonly string[])[] {
  const rows = namesInOrder(traces).map((name) => [
    name,
    ...traces.map(({ spans }) => {
      const own = spans.filter((span) => span.name === name);
      return own.length === 0 ? '' : formatMs(own.reduce((sum, span) => sum + span.durationMs, 0));
    }),
  ]);
  return [...rows, ['whole', ...traces.map(({ spans }) => formatMs(endOf(spans)))]];
}

/** Every name once; one that only some traces have comes after the one that precedes it there. */
export function namesInOrder(traces: readonly Trace[]): readonly string[] {
  const names: string[] = [];
  for (const { spans } of traces) {
    let next = 0;
    for (const { name } of spans) {
      const known = names.indexOf(name);
      if (known < 0) names.splice(next, 0, name);
      next = (known < 0 ? next : known) + 1;
    }
  }
  return names;
}

export function formatMs(ms: number): string {
  return ms.toFixed(1);
}
