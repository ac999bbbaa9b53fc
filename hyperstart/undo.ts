import { messageOf } from './request-error.ts';

/** Releases, each written next to its acquisition; run in reverse order, every one, whatever fails. */
export class Undo {
  readonly #steps: (readonly [string, () => void])[] = [];

  add(action: string, step: () => void): void {
    this.#steps.push([action, step]);
  }

  /** Runs and forgets all steps; failures go to `log` and stop nothing. */
  run(log: (line: string) => void): void {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        step[1]();
      } catch (error) {
        log(`${step[0]}: ${messageOf(error)}`);
      }
    }
  }
}
