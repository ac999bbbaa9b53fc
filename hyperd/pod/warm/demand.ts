/** VMs that are taken within this time make one peak. */
const peakMs = 10_000;
/** So long a peak counts. */
const memoryMs = 10 * 60_000;
/** More VMs than these are in no pool. */
const maxRemembered = 1000;

/** How many VMs the pool is asked for at busy times, of late. */
export class Demand {
  /** When, oldest first. */
  #asked: number[] = [];

  note(nowMs: number): void {
    this.#asked.push(nowMs);
    if (this.#asked.length > maxRemembered) this.#asked.shift();
  }

  /** The most that were asked for within ten seconds of the last ten minutes. */
  peak(nowMs: number): number {
    this.#asked = this.#asked.filter((askedMs) => nowMs - askedMs < memoryMs);
    let most = 0;
    let first = 0;
    for (const [index, askedMs] of this.#asked.entries()) {
      while (askedMs - (this.#asked[first] ?? askedMs) >= peakMs) first += 1;
      most = Math.max(most, index - first + 1);
    }
    return most;
  }
}
