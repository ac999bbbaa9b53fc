/** Milliseconds by phase, in the order in which the phases began. */
export type Timeline = Readonly<Record<string, number>>;

/**
 * Times the phases of a start. Each begins where the one before it ended, so that together they are the
 * whole; a name that comes again adds to its phase.
 */
export class PhaseClock {
  readonly #spans = new Map<string, number>();
  #since = performance.now();

  /** The first phase begins now. */
  begin(): void {
    this.#since = performance.now();
  }

  /**
   * Ends a phase. Those within it that somebody else has timed, such as the guest, come first and never
   * take more than what passed here; the phase itself has the rest.
   */
  end(phase: string, within: Timeline = {}): void {
    const now = performance.now();
    let rest = now - this.#since;
    this.#since = now;
    for (const [name, ms] of Object.entries(within)) {
      const span = Math.min(Math.max(0, ms), rest);
      this.#add(name, span);
      rest -= span;
    }
    this.#add(phase, rest);
  }

  /** Makes one phase of all that has passed: it has led to nothing. */
  fold(phase: string): void {
    this.end(phase);
    const ms = [...this.#spans.values()].reduce((sum, span) => sum + span, 0);
    this.#spans.clear();
    this.#spans.set(phase, ms);
  }

  /** All phases that have ended, to the tenth of a millisecond. */
  get timeline(): Timeline {
    const entries = [...this.#spans].map(([name, ms]) => [name, Math.round(ms * 10) / 10] as const);
    return Object.fromEntries(entries);
  }

  #add(name: string, ms: number): void {
    this.#spans.set(name, (this.#spans.get(name) ?? 0) + ms);
  }
}

/** Durations from marks that count from one moment, each at the end of its phase. */
export function spansOf(marks: Timeline): Timeline {
  let before = 0;
  const spans = Object.entries(marks).map(([name, mark]) => {
    const span = mark - before;
    before = mark;
    return [name, span] as const;
  });
  return Object.fromEntries(spans);
}
