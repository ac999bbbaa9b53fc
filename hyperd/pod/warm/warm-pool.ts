import { unlessAborted } from '../../base/deadline.ts';
import { messageOf } from '../../base/error.ts';
import type { TemplateShape } from '../../hypervisor/driver.ts';
import type { PodContext } from '../context.ts';
import type { BlankVm } from './blank-vm.ts';
import { Demand } from './demand.ts';
import type { HostMemory } from './host-memory.ts';
import { rehearse } from './rehearsal.ts';
import type { TemplateCopies } from './template-copies.ts';
import type { TemplateStore } from './template-store.ts';
import { shapeName, type Template } from './template.ts';

export interface WarmPoolOptions {
  readonly templates: TemplateStore;
  readonly copies: TemplateCopies;
  readonly shape: TemplateShape;
  /** VMs that wait at least; 0: no pool. */
  readonly minSize: number;
  /** VMs that wait at most, however many were asked for at once. */
  readonly maxSize: number;
  /** Host memory that all waiting VMs may take together. */
  readonly maxMemoryMiB: number;
  readonly hostMemory: HostMemory;
  readonly layerFile: string;
  readonly untilIdle: () => Promise<void>;
  /** Resolves when no container has been started for a while. */
  readonly untilQuiet: () => Promise<void>;
}

const checkMs = 5000;
const retryMs = 10_000;
const fillMs = 60_000;

/** The VM that is being made. */
class Making {
  /** Who gets it instead of the pool. */
  claim: ((blank: BlankVm | null) => void) | null = null;
  /** It has kept somebody waiting for too long: nobody else is to wait for it. */
  isLate = false;
  readonly #claimed = Promise.withResolvers<undefined>();

  /** Resolves when somebody wants it. */
  get claimed(): Promise<undefined> {
    return this.#claimed.promise;
  }

  claimFor(give: (blank: BlankVm | null) => void): void {
    this.claim = give;
    this.#claimed.resolve(undefined);
  }
}

/**
 * Paused clones that have rehearsed a start: taking one costs next to nothing. They belong to nobody until
 * they are taken, and are as many as were taken at the busiest time of late. The pool is filled up while no
 * container is being started; when it is empty, also meanwhile.
 */
export class WarmPool implements AsyncDisposable {
  readonly #context: PodContext;
  readonly #options: WarmPoolOptions;
  /** With the host memory that each takes, in MiB: it stays the same while they are paused. */
  readonly #waiting = new Map<BlankVm, number>();
  readonly #demand = new Demand();
  readonly #stop = new AbortController();
  #making: Making | null = null;
  #wakeFilling: () => void = () => undefined;
  #filling: Promise<void> | null = null;
  #givingUp: Promise<void> = Promise.resolve();
  #notBefore = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: PodContext, options: WarmPoolOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** How many VMs are to wait. */
  get size(): number {
    const { minSize, maxSize } = this.#options;
    if (minSize === 0) return 0;
    return Math.max(minSize, Math.min(maxSize, this.#demand.peak(Date.now())));
  }

  get waiting(): readonly BlankVm[] {
    return [...this.#waiting.keys()];
  }

  /** What fails now may do so because of it. */
  get #isClosing(): boolean {
    return this.#stop.signal.aborted || this.#context.closing.aborted;
  }

  /**
   * A VM of this shape, paused or not, that is the caller's now. Where none waits but one is being made, it
   * is that one as soon as it is of use. null: there is none, or its making has failed.
   */
  async take(shape: TemplateShape, signal: AbortSignal): Promise<BlankVm | null> {
    if (shapeName(shape) !== shapeName(this.#options.shape)) return null;
    this.#demand.note(Date.now());
    const [waiting] = this.#waiting.keys();
    if (waiting !== undefined) this.#waiting.delete(waiting);
    // While there are others, filling up has time until the start is over.
    if (this.#waiting.size === 0) this.refill();
    return waiting ?? (await this.#claim(signal));
  }

  async #claim(signal: AbortSignal): Promise<BlankVm | null> {
    signal.throwIfAborted();
    const making = this.#making;
    if (making === null || making.claim !== null || making.isLate) return null;
    const { promise, resolve } = Promise.withResolvers<BlankVm | null>();
    making.claimFor(resolve);
    const patience = AbortSignal.timeout(this.#context.deadlines.claimMs);
    // At once, not in the next turn: from here on a VM that gets ready is the pool's.
    const giveUp = (): void => {
      making.claim = null;
      making.isLate = patience.aborted;
      resolve(null);
    };
    AbortSignal.any([signal, patience]).addEventListener('abort', giveUp, { once: true });
    const blank = await promise;
    if (blank === null) signal.throwIfAborted();
    return blank;
  }

  /** Fills the pool up in the background. */
  refill(): void {
    if (this.#isClosing || this.#options.minSize === 0) return;
    this.#timer ??= setInterval(() => {
      void this.#adjust();
    }, checkMs).unref();
    if (this.#waiting.size === 0) this.#wakeFilling();
    if (this.#filling !== null || Date.now() < this.#notBefore) return;
    this.#filling = this.#fill().finally(() => {
      this.#filling = null;
    });
  }

  /** Ends every waiting VM; one that is being made is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the pool is closed'));
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#filling;
    await this.#givingUp;
    const left = this.waiting;
    this.#waiting.clear();
    await Promise.all(left.map(({ resources }) => resources.disposeAsync()));
  }

  async #fill(): Promise<void> {
    const { logger } = this.#context;
    const { templates, copies, shape } = this.#options;
    try {
      while (await this.#isWanting()) {
        const template = templates.find(shape) ?? (await templates.make(shape));
        if (template === null) return;
        await copies.prepare(template);
        await this.#untilWorthIt();
        if (!(await this.#isWanting())) return;
        await this.#make(template);
      }
    } catch (cause) {
      if (this.#isClosing) return;
      this.#notBefore = Date.now() + retryMs;
      const text = 'a VM for the pool could not be made ready, its template is not used again';
      logger.warn({ err: cause, shape: shapeName(shape) }, `${text}: ${messageOf(cause)}`);
    }
  }

  /** Resolves when no container is being started, or no VM waits any more. */
  async #untilWorthIt(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#wakeFilling = () => {
      resolve(undefined);
    };
    await Promise.race([this.#options.untilIdle(), promise]);
  }

  /** A template whose clone fails is discarded: the next one would fail in the same way, for ever. */
  async #make(template: Template): Promise<void> {
    const making = new Making();
    this.#making = making;
    try {
      await this.#launch(template, making);
    } catch (thrown) {
      if (!this.#isClosing) await this.#options.templates.discard(template);
      throw thrown;
    } finally {
      this.#making = null;
      making.claim?.(null);
    }
  }

  /**
   * A copy that has rehearsed and is paused. While containers are being started it does neither, unless its
   * parent has rehearsed for it: the next start is over sooner with the VM as it is than after a rehearsal.
   */
  async #launch(template: Template, making: Making): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(fillMs)]);
    await using undo = new AsyncDisposableStack();
    const { blank, hasRehearsed } = await this.#options.copies.launch(template, signal);
    undo.use(blank.resources);
    if (!hasRehearsed) {
      await unlessAborted(Promise.race([making.claimed, this.#options.untilQuiet()]), signal);
    }
    const isTaken = (): boolean => {
      making.claim?.(blank);
      return making.claim !== null;
    };
    if (!isTaken()) {
      if (!hasRehearsed) await this.#rehearse(blank, signal);
      await blank.vm.pause();
      const usedMiB = await this.#options.hostMemory.usedMiB(blank.vm.record.pid);
      if (!isTaken()) this.#add(blank, usedMiB);
    }
    undo.move();
  }

  async #rehearse({ vm, agent, exits, tap }: BlankVm, signal: AbortSignal): Promise<void> {
    const { runDirectory } = vm.record;
    const { layerFile } = this.#options;
    const machine = { vm, agent, exits, hasNic: tap !== null, runDirectory };
    await rehearse(this.#context, machine, { layerFile, signal });
  }

  #add(blank: BlankVm, usedMiB: number): void {
    this.#waiting.set(blank, usedMiB);
    void blank.vm.exited.then(async () => {
      if (!this.#waiting.delete(blank)) return;
      this.#context.logger.warn({ pid: blank.vm.record.pid }, 'a waiting VM has died');
      await blank.resources.disposeAsync();
      this.refill();
    });
  }

  async #isWanting(): Promise<boolean> {
    if (this.#isClosing || this.#waiting.size >= this.size) return false;
    const { hostMemory, maxMemoryMiB } = this.#options;
    if (await hostMemory.isScarce()) return false;
    const used = [...this.#waiting.values()];
    const most = Math.max(0, ...used);
    const sum = used.reduce((total, each) => total + each, most);
    return sum <= maxMemoryMiB;
  }

  /** Gives one VM up when the host is short of memory or so many are not needed any more; else fills up. */
  async #adjust(): Promise<void> {
    const isScarce = await this.#options.hostMemory.isScarce();
    if (!isScarce && this.#waiting.size <= this.size) {
      this.refill();
      return;
    }
    const blank = this.waiting.at(-1);
    if (blank === undefined) return;
    this.#waiting.delete(blank);
    const why = isScarce ? 'the host is short of memory' : 'fewer are asked for';
    this.#context.logger.info({}, `${why}: a waiting VM is given up`);
    this.#givingUp = blank.resources.disposeAsync();
    await this.#givingUp;
  }
}
