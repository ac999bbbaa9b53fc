const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** By character code: -1 for what is no digit. */
const base64Values = new Int8Array(128).fill(-1);
for (let value = 0; value < 64; value++) base64Values[base64Digits.charCodeAt(value)] = value;

const replacement = 0xfffd;

/** A string as UTF-8; halves of surrogate pairs are replaced. */
export function encodeText(text: string): ArrayBuffer {
  const bytes: number[] = [];
  for (const character of text) {
    const read = character.codePointAt(0) ?? replacement;
    const code = read >= 0xd800 && read < 0xe000 ? replacement : read;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), tail(code));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), tail(code >> 6), tail(code));
    else bytes.push(0xf0 | (code >> 18), tail(code >> 12), tail(code >> 6), tail(code));
  }
  return Uint8Array.from(bytes).buffer;
}

function tail(code: number): number {
  return 0x80 | (code & 0x3f);
}

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
