export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `?name=value&…`; nothing for a query without values. */
export function toSearch(query: Query): string {
  const words = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  );
  return words.length === 0 ? '' : `?${words.join('&')}`;
}
