import type { StartTimeline } from '../../hyperd/api/schema/hyper.ts';

/** Where a VM came from, then a line for each phase of the start and one for the whole, in milliseconds. */
export function formatTimeline({ Origin, Timeline }: StartTimeline): string {
  const phases = Object.entries({ ...Timeline, total: totalMs(Timeline) });
  const lines = phases.map(([phase, ms]) => [phase, ms.toFixed(1)] as const);
  return [['origin', Origin] as const, ...lines]
    .map(([name, value]) => `${name.padEnd(12)} ${value.padStart(10)}\n`)
    .join('');
}

/** The phases follow one another. */
export function totalMs(timeline: StartTimeline['Timeline']): number {
  return Object.values(timeline).reduce((sum, ms) => sum + ms, 0);
}
