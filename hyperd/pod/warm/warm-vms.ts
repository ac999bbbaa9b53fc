import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '../../base/error.ts';
import type { TemplateShape } from '../../hypervisor/driver.ts';
import type { PodContext } from '../context.ts';
import type { MachineSize } from '../spec/resources.ts';
import { machineSize, parseResources } from '../spec/resources.ts';
import type { BlankVm } from './blank-vm.ts';
import { hostMemory, type HostMemory } from './host-memory.ts';
import { dropMemoryMounts, type MemoryMounts, openMemoryMounts } from './memory-mounts.ts';
import { type Parent, parentRestMs } from './parent.ts';
import { rehearsalLayer } from './rehearsal-layer.ts';
import { TemplateCopies } from './template-copies.ts';
import { TemplateStore } from './template-store.ts';
import { shapeName, type Template } from './template.ts';
import { WarmPool } from './warm-pool.ts';

/** What the daemon's configuration says about quick starts. */
export interface WarmConfig {
  readonly templates: boolean;
  /** VMs that wait for a pod at least; 0: none. */
  readonly poolSize: number;
  /** VMs that wait at most, when more were asked for at once. */
  readonly poolMax: number;
  readonly poolMemoryMiB: number;
  /** Makes an EROFS image of a tar in a directory, and returns its path. */
  readonly makeLayer: (directory: string, tar: AsyncIterable<Buffer>) => Promise<string>;
  /** Default: mounts, which take root. */
  readonly openMemory?: (directory: string) => Promise<MemoryMounts>;
  /** Default: the real one. */
  readonly hostMemory?: HostMemory;
  /** Default: what a real guest needs. */
  readonly restMs?: number;
}

/** Where a pod's VM came from. */
export type VmOrigin = 'pool' | 'template' | 'boot';

export interface WarmVm extends BlankVm {
  readonly origin: VmOrigin;
}

/** How often a shape must have been asked for until it gets a template. */
const usualTimes = 2;

/** VMs that need not be booted: clones of templates, and those of them that wait. */
export class WarmVms implements AsyncDisposable {
  readonly #context: PodContext;
  readonly #templates: TemplateStore;
  readonly #copies: TemplateCopies;
  readonly #pool: WarmPool;
  readonly #usual: string;
  readonly #starts: Starts;
  readonly #asked = new Map<string, number>();

  private constructor(
    context: PodContext,
    parts: {
      templates: TemplateStore;
      copies: TemplateCopies;
      pool: WarmPool;
      usual: string;
      starts: Starts;
    },
  ) {
    this.#context = context;
    this.#templates = parts.templates;
    this.#copies = parts.copies;
    this.#pool = parts.pool;
    this.#usual = parts.usual;
    this.#starts = parts.starts;
  }

  /** null, with the reason in the log, where all VMs must be booted. */
  static async open(context: PodContext, config: WarmConfig): Promise<WarmVms | null> {
    const { driver, logger, paths } = context;
    await using undo = new AsyncDisposableStack();
    try {
      if (!config.templates || driver.templates === null) {
        await dropMemoryMounts(paths.memory);
        return null;
      }
      const mounts = undo.use(await (config.openMemory ?? openMemoryMounts)(paths.memory));
      const layerFile = await openRehearsalLayer(context, config);
      const starts = new Starts();
      const untilIdle = (): Promise<void> => starts.untilNone();
      const size = machineSize(parseResources({}, context.capacity), context.capacity);
      const shape = shapeOf(context, size);
      const { shared: sharedDirectory, private: privateDirectory } = mounts;
      const files = { sharedDirectory, privateDirectory, layerFile, untilIdle };
      const { templates: ability } = driver;
      const host = { hostMemory: config.hostMemory ?? hostMemory };
      const untilQuiet = (): Promise<void> => starts.untilQuiet();
      const waits = { untilIdle, untilQuiet, restMs: config.restMs ?? parentRestMs };
      const copies = new TemplateCopies(context, { ability, layerFile, ...waits, ...host });
      const onRemoved = copies.forget.bind(copies);
      const options = { ability, usual: shape, ...files, onRemoved };
      const templates = await TemplateStore.open(context, options);
      undo.defer(() => templates.settled());
      undo.use(copies);
      const { poolSize: minSize, poolMax: maxSize, poolMemoryMiB: maxMemoryMiB } = config;
      const filling = { minSize, maxSize, maxMemoryMiB, layerFile, untilIdle, untilQuiet };
      const sources = { templates, copies, shape };
      const pool = undo.use(new WarmPool(context, { ...sources, ...filling, ...host }));
      const usual = shapeName(shape);
      const warm = new WarmVms(context, { templates, copies, pool, usual, starts });
      pool.refill();
      if (minSize === 0) warm.#prepare(shape);
      warm.#resources = undo.move();
      return warm;
    } catch (cause) {
      logger.warn({ err: cause }, `every VM is booted: ${messageOf(cause)}`);
      return null;
    }
  }

  #resources = new AsyncDisposableStack();

  /** How many VMs are to wait for a pod. */
  get poolSize(): number {
    return this.#pool.size;
  }

  /** VMs that wait for a pod. */
  get waiting(): readonly BlankVm[] {
    return this.#pool.waiting;
  }

  /** VMs that others are forked of. */
  get parents(): readonly Parent[] {
    return this.#copies.parents;
  }

  /** To be disposed of when a start is over: background work waits for that. */
  starting(): Disposable {
    const begun = this.#starts.begin();
    return {
      [Symbol.dispose]: () => {
        begun[Symbol.dispose]();
        this.#pool.refill();
      },
    };
  }

  /** A running VM for a pod of this size and number of layers; null: it has to be booted. */
  async take(size: MachineSize, layerCount: number, signal: AbortSignal): Promise<WarmVm | null> {
    const slots = this.#context.driver.templates?.diskSlots;
    if (slots === undefined || layerCount > slots.readOnly) return null;
    const shape = shapeOf(this.#context, size);
    const waiting = await this.#pool.take(shape, signal);
    if (waiting !== null) return { ...waiting, origin: 'pool' };
    const template = this.#templates.find(shape);
    if (template === null) {
      this.#ask(shape);
      return null;
    }
    return this.#clone(template, signal);
  }

  async #clone(template: Template, signal: AbortSignal): Promise<WarmVm | null> {
    try {
      const { blank, hasRehearsed } = await this.#copies.launch(template, signal);
      if (!hasRehearsed) void this.#copies.prepare(template);
      return { ...blank, origin: 'template' };
    } catch (cause) {
      signal.throwIfAborted();
      const text = `a clone did not start, so its VM is booted: ${messageOf(cause)}`;
      this.#context.logger.warn({ shape: shapeName(template.shape), err: cause }, text);
      await this.#templates.discard(template);
      return null;
    }
  }

  #ask(shape: TemplateShape): void {
    const name = shapeName(shape);
    const times = (this.#asked.get(name) ?? 0) + 1;
    this.#asked.set(name, times);
    if (name === this.#usual || times >= usualTimes) this.#prepare(shape);
  }

  /** Makes what VMs of a shape are copied from, in the background. */
  #prepare(shape: TemplateShape): void {
    const template = this.#templates.find(shape);
    const found = template === null ? this.#templates.make(shape) : Promise.resolve(template);
    void found.then((made) => (made === null ? undefined : this.#copies.prepare(made)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

function shapeOf({ network }: PodContext, size: MachineSize): TemplateShape {
  return { ...size, hasNic: network !== null };
}

/** One file, whatever version of hyperstart it holds: its name is the hash of its contents. */
async function openRehearsalLayer(context: PodContext, config: WarmConfig): Promise<string> {
  const { rehearsal } = context.paths;
  await mkdir(rehearsal, { recursive: true, mode: 0o700 });
  const file = await config.makeLayer(rehearsal, await rehearsalLayer(context.initrdPath));
  for (const name of await readdir(rehearsal)) {
    if (name !== path.basename(file)) await rm(path.join(rehearsal, name));
  }
  return file;
}

/** After so long without a start the next one is not expected soon. */
const quietMs = 300;

/** Counts the starts that are going on. */
class Starts {
  #count = 0;
  #endedMs = -Infinity;
  #waiters: (() => void)[] = [];

  begin(): Disposable {
    this.#count += 1;
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        this.#count -= 1;
        this.#endedMs = performance.now();
        if (this.#count > 0) return;
        for (const wake of this.#waiters.splice(0)) wake();
      },
    };
  }

  async untilQuiet(): Promise<void> {
    for (;;) {
      await this.untilNone();
      const leftMs = this.#endedMs + quietMs - performance.now();
      if (leftMs <= 0) return;
      await delay(leftMs, undefined, { ref: false });
    }
  }

  async untilNone(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((wake) => this.#waiters.push(wake));
  }
}
