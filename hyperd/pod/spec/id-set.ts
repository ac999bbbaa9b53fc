import { HyperError } from '../../base/error.ts';

const maxId = 4095;

/** The numbers of a list such as `0,2-3`; INVALID_ARGUMENT naming `what` otherwise. */
export function parseIdSet(text: string, what: string): readonly number[] {
  const ids = text.split(',').flatMap((part) => {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (match === null || last < first || last > maxId) {
      throw new HyperError('INVALID_ARGUMENT', `Invalid value ${text} for the set of ${what}`);
    }
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return [...new Set(ids)];
}
