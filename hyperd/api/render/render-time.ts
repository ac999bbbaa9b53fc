/** What Go prints for a time that never was. */
export const zeroTime = '0001-01-01T00:00:00Z';

/** RFC 3339, or Go's zero time for null. */
export function toTimestamp(unixMs: number | null): string {
  return unixMs === null ? zeroTime : new Date(unixMs).toISOString();
}

/** RFC 3339 with all nine digits of nanoseconds, as `docker logs --timestamps` prints. */
export function toNanoTimestamp(unixNanos: bigint): string {
  const seconds = unixNanos / 1_000_000_000n;
  const fraction = String(unixNanos % 1_000_000_000n).padStart(9, '0');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** A duration in Docker's words: `Less than a second`, `2 minutes`, `About an hour`. */
export function toHumanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (seconds < 1) {
    return 'Less than a second';
  }
  if (seconds < 60) {
    return seconds === 1 ? '1 second' : `${String(seconds)} seconds`;
  }
  if (minutes < 60) {
    return minutes === 1 ? 'About a minute' : `${String(minutes)} minutes`;
  }
  return hours === 1 ? 'About an hour' : toLongDuration(hours);
}

function toLongDuration(hours: number): string {
  if (hours < 48) {
    return `${String(hours)} hours`;
  }
  const days = Math.floor(hours / 24);
  if (days < 14) {
    return `${String(days)} days`;
  }
  if (days < 60) {
    return `${String(Math.floor(days / 7))} weeks`;
  }
  return days < 730
    ? `${String(Math.floor(days / 30))} months`
    : `${String(Math.floor(days / 365))} years`;
}
