import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '../../hyperd/base/error.ts';
import { buildDemoImage, type DemoImageName } from '../../images/build.ts';
import { type Artifacts, ensureArtifacts } from '../../setup/artifacts.ts';
import { cacheDirectory } from '../../setup/paths.ts';
import { step } from '../../setup/progress.ts';
import { type Absent, isAbsent } from '../measure/series.ts';
import { startDocker } from './docker.ts';
import type { Engine } from './engine.ts';
import { untilWarm } from './hyper-vms.ts';
import { type HyperMode, startHyperd } from './hyperd.ts';

export type EngineName = HyperMode | 'docker';

export interface LabOptions {
  readonly docker: boolean;
  readonly signal: AbortSignal;
}

/** After the start of the engines. */
const settleMs = 3_000;
/** https://man7.org/linux/man-pages/man2/statfs.2.html */
const unfitForOverlays = new Map([
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlayfs'],
]);

/**
 * The engines that are compared, each started when it is first asked for. Dispose ends them all and
 * removes everything that they wrote.
 */
export class Lab implements AsyncDisposable {
  /** Its name is in the path of everything that the bench starts, mounts and writes. */
  readonly directory: string;
  readonly artifacts: Artifacts;
  readonly signal: AbortSignal;
  readonly #useDocker: boolean;
  readonly #undo = new AsyncDisposableStack();
  #docker: Promise<Engine | Absent> | null = null;
  #started = 0;

  private constructor(directory: string, artifacts: Artifacts, options: LabOptions) {
    this.directory = directory;
    this.artifacts = artifacts;
    this.signal = options.signal;
    this.#useDocker = options.docker;
    this.#undo.defer(() => rm(directory, { recursive: true, force: true }));
  }

  static async open(options: LabOptions): Promise<Lab> {
    const artifacts = await ensureArtifacts();
    return new Lab(await mkdtemp(path.join(tmpdir(), 'hyb-')), artifacts, options);
  }

  /** The name that the bench's cgroup has. */
  get tag(): string {
    return path.basename(this.directory);
  }

  /** An image archive, built when it is not in the cache. */
  image(name: DemoImageName): Promise<string> {
    return buildDemoImage(name, { cacheDirectory, onProgress: step });
  }

  /** A hyperd of its own for one scenario; the caller disposes it. Absent when it cannot do the mode. */
  async hyperd(mode: HyperMode): Promise<Engine | Absent> {
    try {
      const { artifacts, signal } = this;
      return await startHyperd({ mode, artifacts, directory: this.#nextDirectory(), signal });
    } catch (thrown) {
      this.signal.throwIfAborted();
      return { absent: `hyperd (${mode}): ${messageOf(thrown)}` };
    }
  }

  /** Docker Engine, the same for all scenarios; ends with the lab. */
  docker(): Promise<Engine | Absent> {
    this.#docker ??= this.#startDocker();
    return this.#docker;
  }

  /** Engines with images loaded, as one scenario needs them. */
  async prepare(
    names: readonly EngineName[],
    images: readonly DemoImageName[],
  ): Promise<EngineSet> {
    await using undo = new AsyncDisposableStack();
    const archives: string[] = [];
    for (const image of images) archives.push(await this.image(image));
    const engines = new Map<EngineName, Engine | Absent>();
    for (const name of names) {
      const engine = name === 'docker' ? await this.docker() : await this.hyperd(name);
      if (!isAbsent(engine)) undo.use(name === 'docker' ? this.#emptied(engine) : engine);
      engines.set(name, isAbsent(engine) ? engine : await this.#warmUp(engine, archives, images));
      if (name !== 'docker' && !isAbsent(engine)) await untilWarm(engine, this.signal);
    }
    await delay(settleMs, undefined, { signal: this.signal });
    return new EngineSet(engines, undo.move());
  }

  /** Loads the images and runs one, which fills page caches; an engine that cannot do it is absent. */
  async #warmUp(
    engine: Engine,
    archives: readonly string[],
    [image = 'busybox']: readonly DemoImageName[],
  ): Promise<Engine | Absent> {
    try {
      for (const archive of archives) await engine.load(archive);
      await engine.docker('run', '--rm', image, 'true');
      return engine;
    } catch (thrown) {
      this.signal.throwIfAborted();
      return { absent: `does not run ${image}: ${messageOf(thrown)}` };
    }
  }

  /** Lets the next scenario find no containers of this one; a killed engine has none. */
  #emptied(engine: Engine): AsyncDisposable {
    const { signal } = this;
    return {
      async [Symbol.asyncDispose]() {
        if (!signal.aborted) await engine.removeContainers();
      },
    };
  }

  /** A folder of its own within the lab's, not there yet. */
  #nextDirectory(): string {
    return path.join(this.directory, String(++this.#started));
  }

  async #startDocker(): Promise<Engine | Absent> {
    if (!this.#useDocker) return { absent: 'Docker Engine: left out by --no-docker' };
    const { type } = await statfs(this.directory);
    const unfit = unfitForOverlays.get(type);
    if (unfit !== undefined) {
      return { absent: `Docker Engine: overlay2 needs a disk, ${this.directory} is on ${unfit}` };
    }
    try {
      const cgroup = this.tag;
      const { signal } = this;
      const directory = this.#nextDirectory();
      const docker = await startDocker({ directory, cgroup, signal, onProgress: step });
      return this.#undo.use(docker);
    } catch (thrown) {
      this.signal.throwIfAborted();
      return { absent: `Docker Engine: ${messageOf(thrown)}` };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }
}

/** The engines of one scenario. Dispose ends them, and removes Docker's containers. */
export class EngineSet implements AsyncDisposable {
  readonly #engines: ReadonlyMap<EngineName, Engine | Absent>;
  readonly #undo: AsyncDisposableStack;

  constructor(engines: ReadonlyMap<EngineName, Engine | Absent>, undo: AsyncDisposableStack) {
    this.#engines = engines;
    this.#undo = undo;
  }

  get(name: EngineName): Engine | Absent {
    return this.#engines.get(name) ?? { absent: `${name} was not asked for` };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#undo.disposeAsync();
  }
}
