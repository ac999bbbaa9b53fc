import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Mutex } from '../../base/mutex.ts';
import { messageOf } from '../../base/error.ts';
import type { TemplateAbility, TemplateShape } from '../../hypervisor/driver.ts';
import { openAgentSession } from '../agent-session.ts';
import type { PodContext } from '../context.ts';
import { ProcessExits } from '../process-exits.ts';
import { makeRunDirectory } from '../run-directory.ts';
import { rehearse } from './rehearsal.ts';
import { blankNic, shapeName, type Template } from './template.ts';

export interface TemplateStoreOptions {
  readonly ability: TemplateAbility;
  /** Its template stays, whatever others are made. */
  readonly usual: TemplateShape;
  /** Holds the templates, a directory each. */
  readonly sharedDirectory: string;
  readonly privateDirectory: string;
  /** EROFS image for rehearsals. */
  readonly layerFile: string;
  /** Resolves when no container is being started. */
  readonly untilIdle: () => Promise<void>;
  /** Called when a template is not to be used again. */
  readonly onRemoved: (template: Template) => void;
}

/** After so long a template is made anew: its clones share an address space layout. */
const maxAgeMs = 24 * 60 * 60 * 1000;
const retryMs = 60_000;
const makeMs = 120_000;
const manifestName = 'template.json';
/** A change of how templates are made or used counts here. */
const format = 1;
/** Templates of other shapes than the usual one. */
const maxOthers = 3;

interface Manifest {
  readonly inputs: string;
  readonly shape: TemplateShape;
  readonly madeUnixMs: number;
}

/**
 * One template per shape of VM, made in the background. Whatever a template depends on is in `inputs`:
 * one that was made from anything else is not used, but removed.
 */
export class TemplateStore {
  readonly #context: PodContext;
  readonly #options: TemplateStoreOptions;
  readonly #inputs: string;
  readonly #ready = new Map<string, Template>();
  readonly #making = new Map<string, Promise<Template | null>>();
  readonly #notBefore = new Map<string, number>();
  readonly #turn = new Mutex();

  private constructor(context: PodContext, options: TemplateStoreOptions, inputs: string) {
    this.#context = context;
    this.#options = options;
    this.#inputs = inputs;
  }

  /** Finds the templates of a former daemon, and removes what is not fit for use. */
  static async open(context: PodContext, options: TemplateStoreOptions): Promise<TemplateStore> {
    const store = new TemplateStore(context, options, await hashInputs(context, options));
    const found: Template[] = [];
    for (const name of await readdir(options.sharedDirectory)) {
      const directory = path.join(options.sharedDirectory, name);
      const template = await store.#read(directory);
      if (template === null) await rm(directory, { recursive: true, force: true });
      else found.push(template);
    }
    // Two of a shape: the daemon was killed after it had made the newer one.
    found.sort((a, b) => a.madeUnixMs - b.madeUnixMs);
    for (const template of found) await store.#put(template);
    return store;
  }

  /** The template for a shape, if there is one. One that is old is replaced, and used meanwhile. */
  find(shape: TemplateShape): Template | null {
    const template = this.#ready.get(shapeName(shape)) ?? null;
    if (template !== null && Date.now() - template.madeUnixMs > maxAgeMs) void this.make(shape);
    return template;
  }

  /** Makes the template of a shape in the background; null when that fails, which is logged. */
  make(shape: TemplateShape): Promise<Template | null> {
    const name = shapeName(shape);
    const present = this.#making.get(name);
    if (present !== undefined) return present;
    if (!this.#options.ability.supports(shape)) return Promise.resolve(null);
    if (Date.now() < (this.#notBefore.get(name) ?? 0)) return Promise.resolve(null);
    const making = this.#turn.run(() => this.#tryMake(shape));
    this.#making.set(name, making);
    return making.finally(() => this.#making.delete(name));
  }

  /** Resolves when no template is being made any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#making.values());
  }

  /** Not to be used again: a clone of it did not work. */
  async discard(template: Template): Promise<void> {
    const name = shapeName(template.shape);
    this.#notBefore.set(name, Date.now() + retryMs);
    if (this.#ready.get(name) === template) this.#ready.delete(name);
    await this.#remove(template);
  }

  async #tryMake(shape: TemplateShape): Promise<Template | null> {
    const { logger, closing } = this.#context;
    const name = shapeName(shape);
    try {
      await this.#options.untilIdle();
      closing.throwIfAborted();
      const startedAt = performance.now();
      const template = await this.#make(shape);
      await this.#put(template);
      await this.#removeSurplus();
      const ms = Math.round(performance.now() - startedAt);
      logger.info({ shape: name, ms }, `made the template for VMs of ${name}`);
      return template;
    } catch (cause) {
      if (closing.aborted) return null;
      this.#notBefore.set(name, Date.now() + retryMs);
      const text = `no template for VMs of ${name}, they are booted: ${messageOf(cause)}`;
      logger.warn({ shape: name, err: cause }, text);
      return null;
    }
  }

  async #make(shape: TemplateShape): Promise<Template> {
    const { kernelPath, initrdPath, network, closing } = this.#context;
    const { ability, sharedDirectory, privateDirectory, layerFile } = this.#options;
    const signal = AbortSignal.any([closing, AbortSignal.timeout(makeMs)]);
    const id = randomBytes(32).toString('hex');
    await using undo = new AsyncDisposableStack();
    const runDirectory = await makeRunDirectory(this.#context, id, undo);
    const tap = shape.hasNic && network !== null ? undo.use(await network.prepareTap()) : null;
    const nic = tap === null ? null : blankNic(tap);
    await using half = new AsyncDisposableStack();
    const templateDirectory = path.join(sharedDirectory, id.slice(0, 20));
    await mkdir(templateDirectory, { mode: 0o700 });
    half.defer(() => rm(templateDirectory, { recursive: true, force: true }));
    const files = { templateDirectory, privateDirectory };
    await ability.makeTemplate(
      { ...files, id, runDirectory, shape, nic, kernelPath, initrdPath },
      async (vm) => {
        const exits = new ProcessExits();
        const agent = await openAgentSession(this.#context, vm, { exits, signal });
        const machine = { vm, agent, exits, hasNic: nic !== null, runDirectory };
        await rehearse(this.#context, machine, { layerFile, signal });
        agent.close();
        await agent.closed;
      },
      signal,
    );
    const manifest: Manifest = { inputs: this.#inputs, shape, madeUnixMs: Date.now() };
    // Written last: without it a template is half-made.
    await writeFile(path.join(templateDirectory, manifestName), JSON.stringify(manifest));
    half.move();
    return { shape, files, madeUnixMs: manifest.madeUnixMs };
  }

  async #read(templateDirectory: string): Promise<Template | null> {
    try {
      const text = await readFile(path.join(templateDirectory, manifestName), 'utf8');
      const { inputs, shape, madeUnixMs } = JSON.parse(text) as Manifest;
      const { privateDirectory } = this.#options;
      const files = { templateDirectory, privateDirectory };
      return inputs === this.#inputs ? { shape, files, madeUnixMs } : null;
    } catch {
      return null;
    }
  }

  async #put(template: Template): Promise<void> {
    const name = shapeName(template.shape);
    const former = this.#ready.get(name);
    this.#ready.set(name, template);
    if (former !== undefined) await this.#remove(former);
  }

  /** Of the unusual shapes the oldest goes. */
  async #removeSurplus(): Promise<void> {
    const usual = shapeName(this.#options.usual);
    const others = [...this.#ready]
      .filter(([name]) => name !== usual)
      .sort(([, a], [, b]) => a.madeUnixMs - b.madeUnixMs);
    for (const [name, template] of others.slice(0, Math.max(0, others.length - maxOthers))) {
      this.#ready.delete(name);
      await this.#remove(template);
    }
  }

  /** The memory of clones that still run stays until the last of them ends. */
  async #remove(template: Template): Promise<void> {
    this.#options.onRemoved(template);
    await rm(template.files.templateDirectory, { recursive: true, force: true });
  }
}

async function hashInputs(context: PodContext, options: TemplateStoreOptions): Promise<string> {
  const hash = createHash('sha256').update(`${String(format)} ${options.ability.key}\n`);
  for (const file of [context.kernelPath, context.initrdPath, options.layerFile]) {
    hash.update(
      createHash('sha256')
        .update(await readFile(file))
        .digest(),
    );
  }
  return hash.digest('hex');
}
