import { HyperError } from '../base/error.ts';

/** Ctrl-P Ctrl-Q. */
const defaultKeys = Uint8Array.of(16, 17);

/** Parses Docker's syntax (`ctrl-a,x`); '' is the default sequence. */
export function parseDetachKeys(text: string): Uint8Array {
  if (text === '') return defaultKeys;
  const keys = text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]?.toLowerCase();
    if (control === undefined) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        `Invalid detach keys (${text}): unknown key "${key}"`,
      );
    }
    // A control key sends its letter's code without the upper three bits.
    return control.toUpperCase().charCodeAt(0) & 0x1f;
  });
  return Uint8Array.from(keys);
}

/** Looks for the detach sequence in what a client types. */
export class DetachScanner {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /**
   * Bytes to pass on, and whether the sequence is complete. The beginning of a sequence is held back
   * until the next key shows that it is none.
   */
  push(input: Uint8Array): { readonly bytes: Uint8Array; readonly isDetached: boolean } {
    const out: number[] = [];
    for (const byte of input) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) {
          this.#matched = 0;
          return { bytes: Uint8Array.from(out), isDetached: true };
        }
        continue;
      }
      out.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
    }
    return { bytes: Uint8Array.from(out), isDetached: false };
  }
}
