/** The end of a byte stream of unknown length: keeps the last `capacity` bytes. */
export class ConsoleRing {
  readonly #capacity: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(Buffer.from(chunk.subarray(-this.#capacity)));
    this.#bytes += Math.min(chunk.length, this.#capacity);
    // Joined now and then, not at every push: a guest that prints byte by byte must not cost more.
    if (this.#bytes > 2 * this.#capacity || this.#chunks.length > 1024) {
      this.#chunks = [Buffer.concat(this.#chunks).subarray(-this.#capacity)];
      this.#bytes = this.#chunks[0]?.length ?? 0;
    }
  }

  /** What is kept, as text without the control characters that could drive a terminal. */
  text(): string {
    const text = Buffer.concat(this.#chunks).subarray(-this.#capacity).toString('utf8');
    return text.replaceAll('\r', '').replace(/[^\n\t\u0020-\u007e\u00a0-\uffff]/g, '');
  }
}
