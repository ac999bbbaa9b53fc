import { textOf } from './tar-header.ts';

/** What the extension headers before an entry say about it. Names are latin1: one character a byte. */
export interface EntryExtension {
  readonly name: string | null;
  readonly linkName: string | null;
  readonly sizeBytes: number | null;
  readonly isSparse: boolean;
}

export const noExtension: EntryExtension = {
  name: null,
  linkName: null,
  sizeBytes: null,
  isSparse: false,
};

/**
 * Adds an extension header of type `L`, `K` (GNU long names) or `x` (pax) to what is known; null when
 * it is damaged or names the entry a second time: readers differ in which name they would take.
 */
export function extended(
  known: EntryExtension,
  type: string,
  content: Buffer,
): EntryExtension | null {
  const found =
    type === 'L'
      ? { ...noExtension, name: textOf(content) }
      : type === 'K'
        ? { ...noExtension, linkName: textOf(content) }
        : parsePax(content);
  if (found === null) return null;
  const isTwice =
    (known.name !== null && found.name !== null) ||
    (known.linkName !== null && found.linkName !== null) ||
    (known.sizeBytes !== null && found.sizeBytes !== null);
  if (isTwice) return null;
  return {
    name: found.name ?? known.name,
    linkName: found.linkName ?? known.linkName,
    sizeBytes: found.sizeBytes ?? known.sizeBytes,
    isSparse: found.isSparse || known.isSparse,
  };
}

/** Records of the form `LENGTH KEY=VALUE\n` (pax, "Extended Header"). */
function parsePax(content: Buffer): EntryExtension | null {
  const records = new Map<string, string>();
  let rest = content;
  while (rest.length > 0) {
    const space = rest.indexOf(0x20);
    const digits = rest.toString('latin1', 0, Math.max(space, 0));
    const length = /^[0-9]{1,9}$/.test(digits) ? Number(digits) : 0;
    if (length <= space || length > rest.length || rest[length - 1] !== 0x0a) return null;
    const record = rest.toString('latin1', space + 1, length - 1);
    const equals = record.indexOf('=');
    if (equals <= 0) return null;
    records.set(record.slice(0, equals), record.slice(equals + 1));
    rest = rest.subarray(length);
  }
  const size = records.get('size');
  if (size !== undefined && !/^[0-9]{1,16}$/.test(size)) return null;
  return {
    name: records.get('path') ?? null,
    linkName: records.get('linkpath') ?? null,
    sizeBytes: size === undefined ? null : Number(size),
    isSparse: [...records.keys()].some((key) => key.startsWith('GNU.sparse.')),
  };
}
