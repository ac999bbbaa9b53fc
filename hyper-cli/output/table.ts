/** Rows under a header, columns as wide as their widest cell, two spaces or more between. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 3))
        .join('')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** `3.2MB`, as Docker prints sizes: powers of 1000, three significant digits. */
export function formatSize(bytes: number): string {
  return formatUnits(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB']);
}

/** `3.2MiB`, as Docker prints memory: powers of 1024. */
export function formatBinarySize(bytes: number): string {
  return formatUnits(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
}

function formatUnits(bytes: number, base: number, units: readonly string[]): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  // 1000 to 1023 of a binary unit have four digits.
  const rounded = value >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
  return `${String(rounded)}${units[unit] ?? ''}`;
}

/** `5 minutes`, as Docker tells the time between two moments. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const steps: readonly (readonly [number, string])[] = [
    [365 * 86_400, 'year'],
    [30 * 86_400, 'month'],
    [7 * 86_400, 'week'],
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ];
  for (const [size, name] of steps) {
    const count = Math.floor(seconds / size);
    if (count >= 2) return `${String(count)} ${name}s`;
    if (count === 1)
      return name === 'hour' ? 'About an hour' : name === 'minute' ? 'About a minute' : `1 ${name}`;
  }
  return seconds < 1
    ? 'Less than a second'
    : `${String(seconds)} second${seconds === 1 ? '' : 's'}`;
}
