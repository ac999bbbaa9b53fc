import { messageOf } from '../../base/error.ts';
import type { TemplateShape } from '../../hypervisor/driver.ts';
import type { PodContext } from '../context.ts';
import { type BlankVm, launchBlank } from './blank-vm.ts';
import type { HostMemory } from './host-memory.ts';
import { rehearse } from './rehearsal.ts';
import type { TemplateStore } from './template-store.ts';
import { shapeName, type Template } from './template.ts';

export interface WarmPoolOptions {
  readonly templates: TemplateStore;
  readonly shape: TemplateShape;
  /** VMs that wait; 0: none. */
  readonly size: number;
  /** Host memory that all waiting VMs may take together. */
  readonly maxMemoryMiB: number;
  readonly hostMemory: HostMemory;
  readonly layerFile: string;
  readonly untilIdle: () => Promise<void>;
}

const checkMs = 5000;
const retryMs = 10_000;
const fillMs = 60_000;

/**
 * Paused clones that have rehearsed a start: taking one costs next to nothing. They are filled up one
 * after the other while no container is being started, and belong to nobody until they are taken.
 */
export class WarmPool implements AsyncDisposable {
  readonly #context: PodContext;
  readonly #options: WarmPoolOptions;
  readonly #waiting: BlankVm[] = [];
  readonly #stop = new AbortController();
  #filling: Promise<void> | null = null;
  #givingUp: Promise<void> = Promise.resolve();
  #notBefore = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: PodContext, options: WarmPoolOptions) {
    this.#context = context;
    this.#options = options;
  }

  get size(): number {
    return this.#options.size;
  }

  get waiting(): readonly BlankVm[] {
    return this.#waiting;
  }

  /** What fails now may do so because of it. */
  get #isClosing(): boolean {
    return this.#stop.signal.aborted || this.#context.closing.aborted;
  }

  /** A waiting VM of this shape, still paused; it is the caller's now. */
  take(shape: TemplateShape): BlankVm | null {
    if (shapeName(shape) !== shapeName(this.#options.shape)) return null;
    return this.#waiting.shift() ?? null;
  }

  /** Fills the pool up in the background. */
  refill(): void {
    if (this.#filling !== null || this.#isClosing || Date.now() < this.#notBefore) return;
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
    await Promise.all(this.#waiting.splice(0).map(({ resources }) => resources.disposeAsync()));
  }

  async #fill(): Promise<void> {
    const { logger } = this.#context;
    const { templates, shape } = this.#options;
    try {
      while (await this.#isWanting()) {
        const template = templates.find(shape) ?? (await templates.make(shape));
        if (template === null) return;
        await this.#options.untilIdle();
        if (!(await this.#isWanting())) return;
        this.#add(await this.#prepare(template));
      }
    } catch (cause) {
      if (this.#isClosing) return;
      this.#notBefore = Date.now() + retryMs;
      const text = 'a VM for the pool could not be made ready, its template is not used again';
      logger.warn({ err: cause, shape: shapeName(shape) }, `${text}: ${messageOf(cause)}`);
    }
  }

  /** A template whose clone fails is discarded: the next one would fail in the same way, for ever. */
  async #prepare(template: Template): Promise<BlankVm> {
    try {
      return await this.#launch(template);
    } catch (thrown) {
      if (!this.#isClosing) await this.#options.templates.discard(template);
      throw thrown;
    }
  }

  /** A clone that has rehearsed and is paused. */
  async #launch(template: Template): Promise<BlankVm> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(fillMs)]);
    await using undo = new AsyncDisposableStack();
    const blank = await launchBlank(this.#context, template, signal);
    undo.use(blank.resources);
    const { vm, agent, exits, tap } = blank;
    const { runDirectory } = vm.record;
    const { layerFile } = this.#options;
    const machine = { vm, agent, exits, hasNic: tap !== null, runDirectory };
    await rehearse(this.#context, machine, { layerFile, signal });
    await vm.pause();
    undo.move();
    return blank;
  }

  #add(blank: BlankVm): void {
    this.#waiting.push(blank);
    void blank.vm.exited.then(async () => {
      const index = this.#waiting.indexOf(blank);
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      this.#context.logger.warn({ pid: blank.vm.record.pid }, 'a waiting VM has died');
      await blank.resources.disposeAsync();
      this.refill();
    });
    this.#timer ??= setInterval(() => {
      void this.#shrink();
    }, checkMs).unref();
  }

  async #isWanting(): Promise<boolean> {
    if (this.#isClosing || this.#waiting.length >= this.#options.size) return false;
    const { hostMemory, maxMemoryMiB } = this.#options;
    if (await hostMemory.isScarce()) return false;
    const used = await Promise.all(
      this.#waiting.map(({ vm }) => hostMemory.usedMiB(vm.record.pid)),
    );
    const most = Math.max(0, ...used);
    const sum = used.reduce((total, each) => total + each, most);
    return sum <= maxMemoryMiB;
  }

  /** Gives one VM up when the host is short of memory, and fills up again when it is not. */
  async #shrink(): Promise<void> {
    if (await this.#options.hostMemory.isScarce()) {
      const blank = this.#waiting.pop();
      if (blank === undefined) return;
      this.#context.logger.info({}, 'the host is short of memory: a waiting VM is given up');
      this.#givingUp = blank.resources.disposeAsync();
      await this.#givingUp;
    } else {
      this.refill();
    }
  }
}
