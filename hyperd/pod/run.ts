import type { ProcessExit, StdioStreams } from '../../hyperstart/protocol/message.ts';
import type { PodMachine } from './pod-machine.ts';

/** How a run ended: the process by itself, or with its VM. */
export type RunEnd =
  | { readonly kind: 'exited'; readonly exit: ProcessExit }
  | { readonly kind: 'lost'; readonly reason: string };

/** One life of a container's first process. */
export class Run {
  readonly machine: PodMachine;
  readonly streams: StdioStreams;
  /** Settles once; never rejects. */
  readonly ended: Promise<RunEnd>;
  /** Settles when the end is told: the container is not running any more. */
  readonly settled: Promise<void>;
  readonly #settle = Promise.withResolvers<undefined>();
  /** Set before we end the VM ourselves: what to tell instead of a loss. */
  forcedExitCode: number | null = null;

  constructor(machine: PodMachine, streams: StdioStreams, exited: Promise<ProcessExit>) {
    this.machine = machine;
    this.streams = streams;
    this.settled = this.#settle.promise;
    this.ended = Promise.race([
      exited.then((exit): RunEnd => ({ kind: 'exited', exit })),
      machine.lost.then((reason): RunEnd => ({ kind: 'lost', reason })),
    ]);
  }

  settle(): void {
    this.#settle.resolve(undefined);
  }
}
