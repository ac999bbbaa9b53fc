import { messageOf } from '../../base/error.ts';
import type { TemplateAbility } from '../../hypervisor/driver.ts';
import type { PodContext } from '../context.ts';
import { type BlankVm, launchBlank } from './blank-vm.ts';
import type { HostMemory } from './host-memory.ts';
import { Parent } from './parent.ts';
import { rehearse } from './rehearsal.ts';
import { shapeName, type Template } from './template.ts';

export interface TemplateCopiesOptions {
  readonly ability: TemplateAbility;
  readonly hostMemory: HostMemory;
  /** EROFS image for rehearsals. */
  readonly layerFile: string;
  /** Resolves when no container is being started. */
  readonly untilIdle: () => Promise<void>;
  /** Resolves when no container has been started for a while. */
  readonly untilQuiet: () => Promise<void>;
  /** How long a parent runs until it has come to rest. */
  readonly restMs: number;
}

/** A blank VM, and whether what it needs for a start is in its memory already. */
export interface Copy {
  readonly blank: BlankVm;
  readonly hasRehearsed: boolean;
}

const retryMs = 60_000;
const makeMs = 60_000;

/**
 * Makes blank VMs of templates: forks of a parent that has rehearsed where the driver has them, else clones
 * of the template's files. There is one parent per template, made in the background.
 */
export class TemplateCopies implements AsyncDisposable {
  readonly #context: PodContext;
  readonly #options: TemplateCopiesOptions;
  readonly #parents = new Map<Template, Parent>();
  readonly #making = new Map<Template, Promise<void>>();
  readonly #ending = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #notBefore = 0;

  constructor(context: PodContext, options: TemplateCopiesOptions) {
    this.#context = context;
    this.#options = options;
  }

  get parents(): readonly Parent[] {
    return [...this.#parents.values()];
  }

  /** A copy that runs. On failure or abort nothing is left behind. */
  async launch(template: Template, signal: AbortSignal): Promise<Copy> {
    const { ability } = this.#options;
    const forked = await this.#fork(template, signal);
    if (forked !== null) return { blank: forked, hasRehearsed: true };
    const launch = ability.launchClone.bind(ability);
    return {
      blank: await launchBlank(this.#context, template, { launch, signal }),
      hasRehearsed: false,
    };
  }

  /** Resolves when the template has a parent, or none is to be had now. Never rejects. */
  prepare(template: Template): Promise<void> {
    const present = this.#making.get(template);
    if (present !== undefined) return present;
    const isDue = Date.now() >= this.#notBefore && !this.#stop.signal.aborted;
    if (this.#options.ability.forks === null || this.#parents.has(template) || !isDue) {
      return Promise.resolve();
    }
    const making = this.#tryMake(template).finally(() => this.#making.delete(template));
    this.#making.set(template, making);
    return making;
  }

  /** Ends the parent of a template that is not used again. Its forks go on. */
  forget(template: Template): void {
    const parent = this.#parents.get(template);
    if (parent === undefined) return;
    this.#parents.delete(template);
    const ending = parent.resources.disposeAsync().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('hyperd lets go'));
    await Promise.all(this.#making.values());
    for (const template of this.#parents.keys()) this.forget(template);
    await Promise.all(this.#ending);
  }

  /** null: the template has no parent. One whose fork fails is given up: so would the next one. */
  async #fork(template: Template, signal: AbortSignal): Promise<BlankVm | null> {
    const { forks } = this.#options.ability;
    const parent = this.#parents.get(template) ?? null;
    if (forks === null || parent === null) return null;
    try {
      return await launchBlank(this.#context, template, {
        launch: (config) => parent.whilePaused((vm) => forks.fork(vm, config, signal)),
        signal,
      });
    } catch (thrown) {
      signal.throwIfAborted();
      this.#warn(template, thrown, 'a fork did not start, its parent is given up');
      this.forget(template);
      return null;
    }
  }

  async #tryMake(template: Template): Promise<void> {
    try {
      await this.#options.untilIdle();
      if (await this.#options.hostMemory.isScarce()) return;
      await this.#make(template);
    } catch (thrown) {
      if (this.#isClosing) return;
      this.#warn(template, thrown, 'no VM to be forked, others are cloned of files');
    }
  }

  /** What fails now may do so because of it. */
  get #isClosing(): boolean {
    return this.#stop.signal.aborted || this.#context.closing.aborted;
  }

  #warn(template: Template, cause: unknown, what: string): void {
    this.#notBefore = Date.now() + retryMs;
    const fields = { shape: shapeName(template.shape), err: cause };
    this.#context.logger.warn(fields, `${what}: ${messageOf(cause)}`);
  }

  async #make(template: Template): Promise<void> {
    const { forks } = this.#options.ability;
    if (forks === null) return;
    const { layerFile } = this.#options;
    const { closing } = this.#context;
    const patience = AbortSignal.timeout(makeMs);
    const signal = AbortSignal.any([this.#stop.signal, closing, patience]);
    await using undo = new AsyncDisposableStack();
    const launch = forks.launchParent.bind(forks);
    const parent = await launchBlank(this.#context, template, { launch, signal });
    undo.use(parent.resources);
    const { vm, agent, exits, tap } = parent;
    const machine = { vm, agent, exits, hasNic: tap !== null, ...vm.record };
    // What is not done the same way each time is more often known to a fork after two of them.
    for (const tty of [true, false]) {
      await rehearse(this.#context, machine, { layerFile, tty, signal });
    }
    agent.close();
    await agent.closed;
    await vm.pause();
    const { kernelRelease } = agent.hello;
    this.#keep(new Parent({ vm, template, kernelRelease, resources: undo.move() }));
  }

  #keep(parent: Parent): void {
    const { template } = parent;
    this.#parents.set(template, parent);
    void parent.vm.exited.then(() => {
      if (this.#parents.get(template) !== parent) return;
      this.#context.logger.warn({ pid: parent.vm.record.pid }, 'a VM to be forked has died');
      this.forget(template);
    });
    void this.#letRest(parent);
  }

  async #letRest(parent: Parent): Promise<void> {
    const { restMs, untilQuiet } = this.#options;
    const { template } = parent;
    try {
      await parent.rest({ restMs, untilQuiet, signal: this.#stop.signal });
    } catch (thrown) {
      if (this.#isClosing || this.#parents.get(template) !== parent) return;
      this.#warn(template, thrown, 'a VM to be forked does not come to rest, and is given up');
      this.forget(template);
    }
  }
}
