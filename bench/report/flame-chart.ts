import { endOf, type Span, type Trace } from '../measure/span.ts';
import { withUnit } from './format.ts';
import { formatMs, namesInOrder, toSpanTable } from './span-table.ts';
import { characterWidth, escapeXml, toDocument } from './svg-document.ts';

const width = 960;
const left = 84;
const plotWidth = 790;
const top = 58;
const rowHeight = 40;
const barHeight = 26;
/** From a line of text to the next one of the legend. */
const lineHeight = 19;
const nameWidth = 150;
const cellWidth = 84;
/** At most so many ticks besides the one at 0. */
const mostTicks = 10;

/** Neighbours differ in hue, and black text is readable on all of them. */
const palette = [
  ...['#bab0ac', '#8cb4dc', '#f28e2b', '#8cd17d', '#e9737a', '#76b7b2', '#edc948', '#b893c4'],
  ...['#6fa3d8', '#ffbe7d', '#7fb069', '#ff9da7', '#a0cbe8', '#d7a15f', '#d4a6c8', '#d0cac7'],
];

/** What the parts of a chart have in common. */
interface Frame {
  readonly scale: number;
  /** Of the rows, in pixels. */
  readonly bottom: number;
  readonly colors: ReadonlyMap<string, string>;
}

/**
 * A flame chart: a row for each trace on a common axis of milliseconds, a bar for each span, named within
 * where there is room. The legend names every color and tells what its spans took.
 */
export function toFlameChart(title: string, traces: readonly Trace[]): string {
  const longest = Math.max(0, ...traces.map(({ spans }) => endOf(spans)));
  const colors = new Map(
    namesInOrder(traces).map((name, index) => [name, palette[index % palette.length] ?? '']),
  );
  const bottom = top + traces.length * rowHeight;
  const frame: Frame = { scale: longest === 0 ? 0 : plotWidth / longest, bottom, colors };
  return toDocument({
    title,
    description: traces.map(describe).join('; '),
    width,
    height: bottom + (colors.size + 2) * lineHeight + 24,
    body: [
      ...ticksTo(longest).map((ms) => toTick(ms, frame)),
      ...traces.map((trace, index) => toRow(trace, top + index * rowHeight, frame)),
      ...toLegend(traces, frame),
    ],
  });
}

/** Round times from 0 on, none after the end. */
export function ticksTo(endMs: number): readonly number[] {
  if (endMs <= 0) return [0];
  const least = endMs / mostTicks;
  const magnitude = 10 ** Math.floor(Math.log10(least));
  const step = magnitude * ([1, 2, 5].find((factor) => factor * magnitude >= least) ?? 10);
  return Array.from({ length: Math.floor(endMs / step) + 1 }, (_, index) => index * step);
}

function toTick(ms: number, { scale, bottom }: Frame): string {
  const x = (left + ms * scale).toFixed(1);
  const label = `${String(Number(ms.toPrecision(6)))} ms`;
  return [
    `<path d="M${x} ${String(top - 6)}V${String(bottom)}" stroke="#ddd" fill="none"/>`,
    `<text x="${x}" y="${String(top - 11)}" text-anchor="middle" font-size="11" fill="#555">${label}</text>`,
  ].join('\n');
}

function toRow({ name, spans }: Trace, y: number, frame: Frame): string {
  const middle = y + rowHeight / 2;
  const end = endOf(spans);
  const x = (left + end * frame.scale + 8).toFixed(1);
  return [
    `<text x="${String(left - 8)}" y="${String(middle + 4)}" text-anchor="end">${escapeXml(name)}</text>`,
    ...spans.filter(({ durationMs }) => durationMs > 0).map((span) => toBar(span, middle, frame)),
    `<text x="${x}" y="${String(middle + 4)}" font-weight="bold">${withUnit(end, 'ms')}</text>`,
  ].join('\n');
}

function toBar({ name, startMs, durationMs }: Span, middle: number, frame: Frame): string {
  const { scale, colors } = frame;
  const [x, length] = [left + startMs * scale, durationMs * scale];
  const text = escapeXml(name);
  const place = `x="${x.toFixed(2)}" y="${String(middle - barHeight / 2)}" width="${length.toFixed(2)}" height="${String(barHeight)}"`;
  const hint = `${text}: ${formatMs(durationMs)} ms, from ${formatMs(startMs)} ms`;
  const bar = `<rect ${place} fill="${colors.get(name) ?? ''}"><title>${hint}</title></rect>`;
  if (length < (name.length + 1) * characterWidth) return bar;
  const center = `x="${(x + length / 2).toFixed(1)}" y="${String(middle + 4)}"`;
  return `${bar}\n<text ${center} text-anchor="middle" fill="#111" pointer-events="none">${text}</text>`;
}

function toLegend(traces: readonly Trace[], { bottom, colors }: Frame): readonly string[] {
  const rows = [['ms', ...traces.map(({ name }) => name)], ...toSpanTable(traces)];
  return rows.map(([name = '', ...cells], index) => {
    const y = bottom + 32 + index * lineHeight;
    const isSpan = index > 0 && index < rows.length - 1;
    const weight = isSpan ? '' : ' font-weight="bold"';
    const texts = cells.map((cell, column) => {
      const x = left + nameWidth + (column + 1) * cellWidth;
      return `<text x="${String(x)}" y="${String(y)}" text-anchor="end"${weight}>${escapeXml(cell)}</text>`;
    });
    const place = `x="${String(left)}" y="${String(y - 11)}" width="14" height="13"`;
    return [
      ...(isSpan ? [`<rect ${place} fill="${colors.get(name) ?? ''}"/>`] : []),
      `<text x="${String(left + 22)}" y="${String(y)}"${weight}>${escapeXml(name)}</text>`,
      ...texts,
    ].join('\n');
  });
}

function describe({ name, spans }: Trace): string {
  const parts = spans.map((span) => `${span.name} ${formatMs(span.durationMs)}`);
  return `${name}, ${withUnit(endOf(spans), 'ms')}: ${parts.join(', ')}`;
}
