import type { Figure } from '../findings.ts';
import { withUnit } from './format.ts';

const rowHeight = 28;
const barHeight = 16;
const labelWidth = 380;
const plotWidth = 420;
const valueWidth = 110;
const top = 36;
const characterWidth = 7;

/** A plot of figures with one unit: horizontal bars from 0 to the median, whiskers at the quartiles. */
export function toSvg(title: string, figures: readonly Figure[]): string {
  const largest = Math.max(...figures.map(({ summary }) => summary.upperQuartile), 0);
  const scale = largest === 0 ? 0 : plotWidth / largest;
  const width = labelWidth + plotWidth + valueWidth;
  const height = top + figures.length * rowHeight + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" width="${String(width)}" height="${String(height)}" font-family="sans-serif" font-size="13">`,
    `<rect width="${String(width)}" height="${String(height)}" fill="#fff"/>`,
    `<text x="8" y="22" font-weight="bold">${escapeXml(title)}</text>`,
    ...figures.map((figure, index) => toRow(figure, top + index * rowHeight, scale)),
    '</svg>',
    '',
  ].join('\n');
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

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
