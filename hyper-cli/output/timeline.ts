/** One line for each phase of a start, in milliseconds. */
export function formatTimeline(timeline: Readonly<Record<string, number>>): string {
  return Object.entries(timeline)
    .map(([phase, ms]) => `${phase.padEnd(20)} ${ms.toFixed(0).padStart(6)}\n`)
    .join('');
}
