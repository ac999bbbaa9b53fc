import { messageOf } from '../base/error.ts';
import { cpuTimeMsOf } from '../base/process-table.ts';
import type { Container } from './container.ts';
import { isRunning } from './container-state.ts';
import type { PodContext } from './context.ts';
import type { PodMachine } from './pod-machine.ts';

export interface IdleTrimOptions {
  /** A VM that has been idle for so long frees what it uses for caches; null: none does. */
  readonly cachesAfterMs: number | null;
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
  /** What has been asked of it since it was busy. */
  asked: 'nothing' | 'compaction' | 'caches';
}

/**
 * Has guests give memory back when they have nothing else to do: each time that a VM has become idle it
 * brings its free memory together, and when it stays so, it frees its caches. A guest's kernel would look
 * for that work twice a second; here it costs one line of /proc per VM every few seconds.
 */
export class IdleTrim implements Disposable {
  readonly #context: PodContext;
  readonly #cachesAfterMs: number;
  readonly #cpuTimeMs: (pid: number) => number | null;
  readonly #watches = new WeakMap<PodMachine, Watch>();
  readonly #timer: NodeJS.Timeout;

  constructor(context: PodContext, options: IdleTrimOptions) {
    this.#context = context;
    this.#cachesAfterMs = options.cachesAfterMs ?? Number.POSITIVE_INFINITY;
    this.#cpuTimeMs = options.cpuTimeMs ?? cpuTimeMsOf;
    const look = (): void => {
      for (const container of context.table.all()) this.#look(container);
    };
    this.#timer = setInterval(look, options.lookMs ?? usualLookMs).unref();
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
      this.#watches.set(machine, { cpuMs, atMs, idleSinceMs: atMs, asked: 'nothing' });
      return;
    }
    const isBusy = cpuMs - watch.cpuMs > idleShare * (atMs - watch.atMs);
    Object.assign(watch, { cpuMs, atMs });
    if (isBusy) {
      Object.assign(watch, { idleSinceMs: atMs, asked: 'nothing' });
    } else if (watch.asked === 'nothing') {
      watch.asked = 'compaction';
      void this.#trim(machine, watch);
    } else if (watch.asked === 'compaction' && atMs - watch.idleSinceMs >= this.#cachesAfterMs) {
      watch.asked = 'caches';
      void this.#trim(machine, watch);
    }
  }

  async #trim(machine: PodMachine, watch: Watch): Promise<void> {
    const { deadlines, logger } = this.#context;
    const { id, record } = machine.vm;
    try {
      const caches = watch.asked === 'caches';
      await machine.agent.request('trim', { caches }, AbortSignal.timeout(deadlines.requestMs));
    } catch (cause) {
      logger.warn({ pod: id, err: cause }, `trimming an idle VM: ${messageOf(cause)}`);
    }
    // What the guest has done for it makes it no busy one.
    watch.cpuMs = this.#cpuTimeMs(record.pid) ?? watch.cpuMs;
  }
}
