import type { Lab } from '../engines/lab.ts';
import type { Findings } from '../findings.ts';

/** How much is measured. */
export interface Effort {
  /** Of short measurements. */
  readonly runs: number;
  /** Of those that take half a minute and more. */
  readonly fewRuns: number;
  readonly stdioMiB: number;
  /** The sizes that the bars speak of, whatever they take. */
  readonly full: boolean;
}

export interface Scenario {
  readonly title: string;
  /** Adds what it finds; figures that it cannot measure as gaps, with the reason. */
  measure(lab: Lab, effort: Effort, findings: Findings): Promise<void>;
}
