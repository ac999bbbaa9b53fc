import type { Figure } from '../findings.ts';

/** `1234 ms (1200–1300, 5 runs)`. */
export function formatFigure({ summary, unit }: Figure): string {
  const { median, lowerQuartile, upperQuartile, runs } = summary;
  const middle = withUnit(median, unit);
  if (runs === 1) return `${middle} (1 run)`;
  const range = `${formatNumber(lowerQuartile)}–${formatNumber(upperQuartile)}`;
  return `${middle} (${range}, ${String(runs)} runs)`;
}

export function withUnit(value: number, unit: string): string {
  return unit === '' ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}

export function formatNumber(value: number): string {
  return value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);
}
