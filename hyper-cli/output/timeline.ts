import type { StartTimeline } from '../../hyperd/api/schema/hyper.ts';

const barColumns = 40;

/**
 * Where a VM came from, then a line for each phase of the start and one for the whole, in milliseconds.
 * For people a bar follows, which begins where the phase does; programs find the first two columns alone.
 */
export function formatTimeline(
  { Origin, Timeline }: StartTimeline,
  { bars }: { readonly bars: boolean },
): string {
  const total = totalMs(Timeline);
  let since = 0;
  const phases = Object.entries(Timeline).map(([phase, ms]) => {
    const bar = bars ? toBar(since, ms, total) : '';
    since += ms;
    return toLine(phase, ms.toFixed(1), bar);
  });
  return [toLine('origin', Origin), ...phases, toLine('total', total.toFixed(1))].join('');
}

function toLine(name: string, value: string, bar = ''): string {
  return `${`${name.padEnd(12)} ${value.padStart(10)}  ${bar}`.trimEnd()}\n`;
}

/** A thin mark stands for what is too short for a column; what took no time has none. */
function toBar(since: number, ms: number, total: number): string {
  if (ms <= 0) return '';
  const column = (at: number): number => Math.round((at / total) * barColumns);
  const from = column(since);
  const width = column(since + ms) - from;
  if (width === 0) return `${' '.repeat(Math.min(from, barColumns - 1))}▏`;
  return ' '.repeat(from) + '█'.repeat(width);
}

/** The phases follow one another. */
export function totalMs(timeline: StartTimeline['Timeline']): number {
  return Object.values(timeline).reduce((sum, ms) => sum + ms, 0);
}
