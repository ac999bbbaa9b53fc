import { setUint64, struct } from './kernel.ts';
import type { Native } from './native.ts';

const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** By character code: -1 for what is no digit. */
const base64Values = new Int8Array(128).fill(-1);
for (let value = 0; value < 64; value++) base64Values[base64Digits.charCodeAt(value)] = value;

/** The bytes, or null when the text is not base64. */
export function decodeBase64(text: string): ArrayBuffer | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const length = (text.length / 4) * 3 - padding;
  // Whole groups, and what is too much at the end cut off: the padding counts as zeros.
  const bytes = new Uint8Array((text.length / 4) * 3);
  const digits = text.slice(0, text.length - padding) + 'AA'.slice(0, padding);
  for (let at = 0, size = 0; at < digits.length; at += 4) {
    const group =
      (valueAt(digits, at) << 18) |
      (valueAt(digits, at + 1) << 12) |
      (valueAt(digits, at + 2) << 6) |
      valueAt(digits, at + 3);
    if (group < 0) return null;
    bytes[size++] = group >> 16;
    bytes[size++] = group >> 8;
    bytes[size++] = group;
  }
  return bytes.buffer.slice(0, length);
}

/** -1, which makes a group negative, for what is no digit. */
function valueAt(text: string, at: number): number {
  return base64Values[text.charCodeAt(at)] ?? -1;
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

/** Addresses with a 0 behind the last, as execve takes them. */
export function pointers(addresses: readonly number[]): ArrayBuffer {
  return struct((addresses.length + 1) * 8, (view) => {
    for (const [index, address] of addresses.entries()) setUint64(view, index * 8, address);
  });
}
