import type { Figure } from '../findings.ts';
import { withUnit } from './format.ts';
import { characterWidth, escapeXml, toDocument } from './svg-document.ts';

const rowHeight = 28;
const barHeight = 16;
const labelWidth = 380;
const plotWidth = 420;
const valueWidth = 110;
const top = 36;

/** A plot of figures with one unit: horizontal bars from 0 to the median, whiskers at the quartiles. */
export function toSvg(title: string, figures: readonly Figure[]): string {
  const largest = Math.max(...figures.map(({ summary }) => summary.upperQuartile), 0);
  const scale = largest === 0 ? 0 : plotWidth / largest;
  return toDocument({
    title,
    description: figures.map(describe).join('; '),
    width: labelWidth + plotWidth + valueWidth,
    height: top + figures.length * rowHeight + 8,
    body: figures.map((figure, index) => toRow(figure, top + index * rowHeight, scale)),
  });
}

function describe({ name, unit, summary }: Figure): string {
  return `${name.trim()}: ${withUnit(summary.median, unit)}`;
}

function toRow({ name, unit, summary }: Figure, y: number, scale: number): string {
  const { median, lowerQuartile, upperQuartile } = summary;
  const x = (value: number): string => (labelWidth + Math.max(value, 0) * scale).toFixed(1);
  const length = (Math.max(median, 0) * scale).toFixed(1);
  const middle = y + rowHeight / 2;
  const label = shorten(name.trim().replaceAll('`', ''));
  const color = name.includes('Docker') ? '#9aa5b1' : '#2f7ed8';
  const [from, to] = [x(lowerQuartile), x(upperQuartile)];
  const upright = (at: string): string => `M${at} ${String(middle - 5)}V${String(middle + 5)}`;
  const whisker = `M${from} ${String(middle)}H${to}${upright(from)}${upright(to)}`;
  const text = `x="${(Number(to) + 8).toFixed(1)}" y="${String(middle + 4)}"`;
  return [
    `<text x="${String(labelWidth - 8)}" y="${String(middle + 4)}" text-anchor="end">${escapeXml(label)}</text>`,
    `<rect x="${String(labelWidth)}" y="${String(middle - barHeight / 2)}" width="${length}" height="${String(barHeight)}" fill="${color}"/>`,
    `<path d="${whisker}" stroke="#111" fill="none"/>`,
    `<text ${text}>${escapeXml(withUnit(median, unit))}</text>`,
  ].join('\n');
}

function shorten(text: string): string {
  const most = Math.floor((labelWidth - 16) / characterWidth);
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
