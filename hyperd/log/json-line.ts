import type { LogEntry, LogStream } from './container-log.ts';

/** One line of Docker's json-file format: `{"log":"…\n","stream":"stdout","time":"…Z"}`. */
export function encodeLogLine(
  entry: Omit<LogEntry, 'attributes'>,
  attributes: Readonly<Record<string, string>>,
): string {
  const attrs = Object.keys(attributes).length === 0 ? {} : { attrs: attributes };
  const fields = {
    log: Buffer.from(entry.bytes).toString('utf8'),
    stream: entry.stream,
    ...attrs,
    time: formatNanos(entry.unixNanos),
  };
  return `${JSON.stringify(fields)}\n`;
}

/** Parses a line of a log file; null when it is damaged (a half-written one after a power cut). */
export function parseLogLine(line: string): LogEntry | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const { log, stream, time, attrs } = value;
  if (typeof log !== 'string' || typeof time !== 'string' || !isStream(stream)) return null;
  const unixNanos = parseNanos(time);
  if (unixNanos === null) return null;
  return { stream, unixNanos, bytes: Buffer.from(log), attributes: stringMap(attrs) };
}

/** RFC 3339 with nine digits of a second, UTC. */
export function formatNanos(unixNanos: bigint): string {
  const milliseconds = Number(unixNanos / 1_000_000n);
  const seconds = new Date(milliseconds).toISOString().slice(0, 19);
  return `${seconds}.${(unixNanos % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}

/** The inverse of formatNanos; also takes fewer digits. Null when it is no such time. */
export function parseNanos(text: string): bigint | null {
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/.exec(
    text,
  );
  if (match === null) return null;
  const milliseconds = Date.parse(`${match[1] ?? ''}${match[3] ?? ''}`);
  if (Number.isNaN(milliseconds)) return null;
  return BigInt(milliseconds) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

function isStream(value: unknown): value is LogStream {
  return value === 'stdout' || value === 'stderr';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stringMap(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}
