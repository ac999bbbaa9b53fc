/** Docker's limit for one log entry: longer lines are split. */
export const maxEntryBytes = 16 * 1024;

/** A line, or the part of an over-long one, with the time at which its first byte came. */
export interface TimedLine {
  readonly bytes: Buffer;
  readonly unixNanos: bigint;
}

/** Cuts one output stream into lines; an unfinished line waits for its end, at most 16 KiB of it. */
export class LineSplitter {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #pendingSince = 0n;

  /** The lines that this chunk completes. */
  push(chunk: Uint8Array, unixNanos: bigint): TimedLine[] {
    const lines: TimedLine[] = [];
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      const room = maxEntryBytes - this.#pendingBytes;
      const newline = rest.subarray(0, room).indexOf(0x0a);
      const isComplete = newline >= 0 || rest.length >= room;
      const length = newline >= 0 ? newline + 1 : Math.min(room, rest.length);
      if (this.#pendingBytes === 0) this.#pendingSince = unixNanos;
      this.#pending.push(rest.subarray(0, length));
      this.#pendingBytes += length;
      rest = rest.subarray(length);
      if (isComplete) lines.push(...this.flush());
    }
    // What waits for its end must not keep the caller's buffer, which may be reused.
    this.#pending = this.#pending.map((part) => Buffer.from(part));
    return lines;
  }

  /** What is left at the end of the stream. */
  flush(): TimedLine[] {
    if (this.#pendingBytes === 0) return [];
    const line = { bytes: Buffer.concat(this.#pending), unixNanos: this.#pendingSince };
    this.#pending = [];
    this.#pendingBytes = 0;
    return [line];
  }
}
