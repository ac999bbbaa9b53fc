import { Mutex } from '../base/mutex.ts';
import type { PodMachine } from './pod-machine.ts';
import { assertPodMove, type PodState } from './pod-state.ts';

/** The unit that owns one VM. Operations on it and its containers take turns by `mutex`. */
export class Pod {
  readonly id: string;
  readonly mutex = new Mutex();
  #state: PodState = { status: 'idle' };

  constructor(id: string) {
    this.id = id;
  }

  get state(): PodState {
    return this.#state;
  }

  /** Boots the VM, after the end of the former one. On failure the pod is idle again. */
  async boot(launch: () => Promise<PodMachine>): Promise<PodMachine> {
    await this.settled();
    this.#move({ status: 'booting' });
    try {
      const machine = await launch();
      this.#move({ status: 'running', machine });
      return machine;
    } catch (thrown) {
      this.#move({ status: 'idle' });
      throw thrown;
    }
  }

  /** Takes over a VM that outlived the daemon. */
  adopt(machine: PodMachine): void {
    this.#move({ status: 'running', machine });
  }

  /** Ends the VM and frees all that came with it. Idempotent; never rejects. */
  async stop(options: { readonly graceful: boolean }): Promise<void> {
    if (this.#state.status === 'running') {
      const done = this.#state.machine.end(options);
      this.#move({ status: 'stopping', done });
      await done;
      this.#move({ status: 'idle' });
    }
    await this.settled();
  }

  /** Resolves when no VM is on its way out. */
  async settled(): Promise<void> {
    if (this.#state.status === 'stopping') await this.#state.done;
  }

  #move(next: PodState): void {
    assertPodMove(this.#state.status, next.status);
    this.#state = next;
  }
}
