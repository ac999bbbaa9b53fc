import type { ContainerTable } from './container-table.ts';
import { guard } from './guard.ts';
import { messageOf } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

/** How long killed processes may take to end; one that hangs in the kernel must not keep the VM. */
const killTimeoutMs = 5000;
/** Time for the answer to leave the VM; the host hangs up earlier when it has read it. */
const answerMs = 20;

/** Ends the VM: kills the containers, brings their disks to rest, powers off. */
export class Shutdown {
  readonly #sys: Sys;
  readonly #containers: ContainerTable;
  #onEmpty: (() => void) | null = null;
  #isDone = false;
  #running: Promise<void> | null = null;

  constructor(sys: Sys, containers: ContainerTable) {
    this.#sys = sys;
    this.#containers = containers;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Resolves when the disks are at rest; the VM powers off shortly after. */
  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    for (const { id, cgroup, process } of this.#containers.all()) {
      if (process.exit !== null) continue;
      try {
        cgroup.kill();
      } catch (error) {
        this.#sys.log(`hyperstart: killing container ${id}: ${messageOf(error)}`);
      }
    }
    await this.#untilEmpty();
    for (const { id } of this.#containers.all()) this.#containers.cleanUp(id);
    this.#sys.sync();
    this.#isDone = true;
    this.#sys.setTimer(answerMs, () => {
      this.#sys.powerOff();
    });
  }

  #untilEmpty(): Promise<void> {
    if (this.#isEmpty()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#sys.setTimer(
        killTimeoutMs,
        guard(this.#sys, 'a kill timeout', () => {
          resolve();
        }),
      );
    });
  }

  #isEmpty(): boolean {
    return this.#containers.all().every(({ process }) => process.exit !== null);
  }

  /** To be called whenever a process has ended. */
  processEnded(): void {
    if (this.#onEmpty !== null && this.#isEmpty()) this.#onEmpty();
  }

  /** To be called when the host has hung up: after a shutdown it needs nothing more. */
  hostIsGone(): void {
    if (this.#isDone) this.#sys.powerOff();
  }
}
