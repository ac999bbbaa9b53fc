import { decodeBase64 } from './text.ts';

/** Filters as the kernel takes them. Most processes get the same one, so the last is kept. */
export class SeccompPrograms {
  #text = '';
  #filter: ArrayBuffer | null = null;

  /** The instructions of a filter in base64; null when it holds none. */
  decode(text: string): ArrayBuffer | null {
    if (text === this.#text) return this.#filter;
    const filter = decodeBase64(text);
    this.#filter = filter === null || filter.byteLength % 8 !== 0 ? null : filter;
    this.#text = text;
    return this.#filter;
  }
}
