import { setTimeout as delay } from 'node:timers/promises';

import type { Vm } from '../../hypervisor/driver.ts';
import type { Template } from './template.ts';

/**
 * Its kernel tells the host of free memory 64 blocks of 4 MiB every two seconds, all of it in about 30
 * (mm/page_reporting.c), and has a few more things that it does once. What the parent has not done is done
 * by each of its forks again: 60 ms of CPU time for 2 GiB.
 */
export const parentRestMs = 35_000;

export interface RestOptions {
  /** How long it runs in all. */
  readonly restMs: number;
  /** Resolves when no container has been started for a while. */
  readonly untilQuiet: () => Promise<void>;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** A VM that is there to be forked. It belongs to no pod, and is paused but for the time of its rest. */
export class Parent {
  readonly vm: Vm;
  readonly template: Template;
  readonly kernelRelease: string;
  readonly resources: AsyncDisposableStack;
  #users = 0;
  #run: { readonly ended: Promise<void>; readonly end: AbortController } | null = null;

  constructor(parts: Pick<Parent, 'vm' | 'template' | 'kernelRelease' | 'resources'>) {
    this.vm = parts.vm;
    this.template = parts.template;
    this.kernelRelease = parts.kernelRelease;
    this.resources = parts.resources;
  }

  /** Does something with the VM while it is paused. */
  async whilePaused<T>(action: (vm: Vm) => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      this.#run?.end.abort();
      await this.#run?.ended;
      return await action(this.vm);
    } finally {
      this.#users -= 1;
    }
  }

  /**
   * Lets the guest work off what it has put off, in the pauses between starts: whoever wants the VM gets it
   * at once. Rejects when it cannot be let run or be paused again.
   */
  async rest({ restMs, untilQuiet, signal }: RestOptions): Promise<void> {
    let leftMs = restMs;
    while (leftMs > 0) {
      await untilQuiet();
      if (signal.aborted) return;
      if (this.#users > 0) {
        await delay(100, undefined, { ref: false });
        continue;
      }
      const begunMs = performance.now();
      const end = new AbortController();
      const run = { end, ended: this.#runFor(leftMs, AbortSignal.any([signal, end.signal])) };
      this.#run = run;
      await run.ended;
      leftMs -= performance.now() - begunMs;
    }
  }

  async #runFor(milliseconds: number, signal: AbortSignal): Promise<void> {
    await this.vm.resume();
    await delay(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
    await this.vm.pause();
  }
}
