import type { Native } from './native.ts';

const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** By character code: -1 for what is no digit. */
const base64Values = new Int8Array(128).fill(-1);
for (let value = 0; value < 64; value++) base64Values[base64Digits.charCodeAt(value)] = value;

/** The bytes, or null when the text is not base64. */
export function decodeBase64(text: string): ArrayBuffer | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const length = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  for (let at = 0, size = 0; at < length; at++) {
    const value = base64Values[text.charCodeAt(at)] ?? -1;
    if (value < 0) return null;
    bits = ((bits << 6) | value) & 0xffff;
    if (at % 4 !== 0) bytes[size++] = bits >> (6 - (at % 4) * 2);
  }
  return bytes.buffer;
}

/** Strings one after the other, each with a NUL at its end, and where they are; a NUL in one makes it two. */
export function encodeWords(
  native: Pick<Native, 'encodeText' | 'addressOf'>,
  words: readonly string[],
): { readonly bytes: ArrayBuffer; readonly addresses: readonly number[] } {
  const bytes = native.encodeText(words.length === 0 ? '' : `${words.join('\0')}\0`);
  const start = native.addressOf(bytes);
  const view = new Uint8Array(bytes);
  const addresses: number[] = [];
  for (let at = 0; at < view.length; at = view.indexOf(0, at) + 1) addresses.push(start + at);
  return { bytes, addresses };
}
