import { messageOf } from '../base/error.ts';
import { Mutex } from '../base/mutex.ts';
import { cpuTimeMsOf } from '../base/process-table.ts';
import type { Container } from './container.ts';
import { isRunning } from './container-state.ts';
import type { PodContext } from './context.ts';
import type { PodMachine } from './pod-machine.ts';

export interface IdleTrimOptions {
  /** A VM that has been idle for so long is asked for memory that it does not need. */
  readonly afterMs: number;
  /** How often all VMs are looked at. */
  readonly lookMs?: number;
  /** CPU time that a process has used, in milliseconds; null when it is gone. */
  readonly cpuTimeMs?: (pid: number) => number | null;
}

/** A VM that uses less than this share of one CPU has nothing to do. */
const idleShare = 0.02;
const usualLookMs = 5000;

/** A VM since the last look. */
interface Watch {
  cpuMs: number;
  atMs: number;
  idleSinceMs: number;
  /** It was asked since it was busy. */
  isTrimmed: boolean;
}

/**
 * Has guests give memory back when they have had nothing else to do for a while. A guest's kernel would look
 * for that work twice a second; here it costs one line of /proc per VM every few seconds.
 */
export class IdleTrim implements Disposable {
  readonly #context: PodContext;
  readonly #afterMs: number;
  readonly #cpuTimeMs: (pid: number) => number | null;
  readonly #watches = new WeakMap<PodMachine, Watch>();
  /** One after another: a host full of VMs that become idle together is not to wake them all at once. */
  readonly #trimming = new Mutex();
  readonly #timer: NodeJS.Timeout;

  constructor(context: PodContext, options: IdleTrimOptions) {
    this.#context = context;
    this.#afterMs = options.afterMs;
    this.#cpuTimeMs = options.cpuTimeMs ?? cpuTimeMsOf;
    this.#timer = setInterval(() => {
      for (const container of context.table.all()) this.#look(container);
    }, options.lookMs ?? usualLookMs).unref();
  }

  /** What fails now may do so because of it. */
  get #isClosing(): boolean {
    return this.#context.closing.aborted;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look({ state }: Container): void {
    if (!isRunning(state)) return;
    const { machine } = state.run;
    const cpuMs = this.#cpuTimeMs(machine.vm.record.pid);
    if (cpuMs === null) return;
    const atMs = performance.now();
    const watch = this.#watches.get(machine);
    if (watch === undefined) {
      this.#watches.set(machine, { cpuMs, atMs, idleSinceMs: atMs, isTrimmed: false });
      return;
    }
    const isBusy = cpuMs - watch.cpuMs > idleShare * (atMs - watch.atMs);
    Object.assign(watch, { cpuMs, atMs });
    if (isBusy) {
      Object.assign(watch, { idleSinceMs: atMs, isTrimmed: false });
    } else if (!watch.isTrimmed && atMs - watch.idleSinceMs >= this.#afterMs) {
      watch.isTrimmed = true;
      void this.#trimming.run(() => this.#trim(machine, watch));
    }
  }

  async #trim(machine: PodMachine, watch: Watch): Promise<void> {
    const { deadlines, logger } = this.#context;
    const { id, record } = machine.vm;
    // Its turn may come late.
    if (this.#cpuTimeMs(record.pid) === null) return;
    try {
      await machine.agent.request('trim', {}, AbortSignal.timeout(deadlines.requestMs));
    } catch (cause) {
      if (this.#isClosing) return;
      logger.warn({ pod: id, err: cause }, `trimming an idle VM: ${messageOf(cause)}`);
    }
    // What the guest has done for it makes it no busy one.
    watch.cpuMs = this.#cpuTimeMs(record.pid) ?? watch.cpuMs;
  }
}
