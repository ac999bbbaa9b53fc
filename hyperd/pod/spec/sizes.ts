import { HyperError } from '../../base/error.ts';

const exponents: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

export const mebibyte = 1024 * 1024;

/** Bytes of a size in Docker's notation (`10G`, `512mb`, `1.5GiB`), in powers of 1024. */
export function parseSize(text: string, what: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const exponent = exponents[(match?.[2] ?? '').toLowerCase()] ?? 0;
  const bytes = Math.floor(Number(match?.[1]) * 1024 ** exponent);
  if (match === null || !Number.isSafeInteger(bytes)) {
    throw new HyperError('INVALID_ARGUMENT', `${what}: invalid size: '${text}'`);
  }
  return bytes;
}
