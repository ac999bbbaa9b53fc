import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { unlessAborted } from '../../hyperd/base/deadline.ts';
import type {
  ForkAbility,
  ForkConfig,
  TemplateAbility,
  TemplateConfig,
  TemplateShape,
  TemplateVmConfig,
  Vm,
} from '../../hyperd/hypervisor/driver.ts';
import { type FakeGuestDriver, FakeVm } from './fake-guest.ts';

const leastMiB = 128;

/** Templates of fake guests: a clone needs the file that its template left. */
export class FakeTemplates implements TemplateAbility {
  key = 'fake-1';
  /** As with hardware acceleration, unless a test wants them. */
  forks: FakeForks | null = null;
  readonly diskSlots = { readOnly: 2, writable: 1 } as const;
  /** In the order in which they were begun. */
  readonly made: TemplateConfig[] = [];
  readonly clones: TemplateVmConfig[] = [];
  /** Templates are made when this has settled. */
  gate: Promise<unknown> = Promise.resolve();
  /** Clones are restored when this has settled. */
  cloneGate: Promise<unknown> = Promise.resolve();
  /** Thrown by every launch of a clone. */
  cloneFailure: Error | null = null;
  readonly #driver: FakeGuestDriver;

  constructor(driver: FakeGuestDriver) {
    this.#driver = driver;
  }

  supports({ memoryMiB }: TemplateShape): boolean {
    return memoryMiB >= leastMiB;
  }

  async makeTemplate(
    config: TemplateConfig,
    prepare: (vm: Vm) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    this.made.push(config);
    await using vm = this.#power(config);
    await unlessAborted(this.gate, signal);
    await prepare(vm);
    await writeFile(memoryFile(config), 'memory');
  }

  async launchClone(config: TemplateVmConfig, signal: AbortSignal): Promise<Vm> {
    signal.throwIfAborted();
    await readFile(memoryFile(config));
    if (this.cloneFailure !== null) throw this.cloneFailure;
    this.clones.push(config);
    await unlessAborted(this.cloneGate, signal);
    return this.#power(config);
  }

  /** From now on there are forks, too. */
  enableForks(): FakeForks {
    this.forks = new FakeForks((config) => this.#power(config));
    return this.forks;
  }

  #power(config: Pick<TemplateVmConfig, 'id' | 'runDirectory'>): FakeVm {
    const { readOnly, writable } = this.diskSlots;
    const slots = [
      ...Array.from({ length: readOnly }, (_, index) => `r${String(index)}`),
      ...Array.from({ length: writable }, (_, index) => `w${String(index)}`),
    ];
    return new FakeVm(this.#driver.power(config.id), config, slots);
  }
}

/** Forks of fake guests: a parent has to be paused, and to be there. */
export class FakeForks implements ForkAbility {
  readonly parents: FakeVm[] = [];
  readonly forks: ForkConfig[] = [];
  /** Thrown by every launch of a parent. */
  parentFailure: Error | null = null;
  /** Gets every parent before it is there for anybody. */
  onParent: (parent: FakeVm) => void = () => undefined;
  /** Thrown by every fork. */
  forkFailure: Error | null = null;
  readonly #power: (config: ForkConfig) => FakeVm;

  constructor(power: (config: ForkConfig) => FakeVm) {
    this.#power = power;
  }

  launchParent(config: TemplateVmConfig): Promise<Vm> {
    if (this.parentFailure !== null) return Promise.reject(this.parentFailure);
    const parent = this.#power(config);
    this.onParent(parent);
    this.parents.push(parent);
    return Promise.resolve(parent);
  }

  fork(parent: Vm, config: ForkConfig): Promise<Vm> {
    if (this.forkFailure !== null) return Promise.reject(this.forkFailure);
    if (!this.parents.some((each) => each === parent && each.isPaused)) {
      return Promise.reject(new Error('no paused parent'));
    }
    this.forks.push(config);
    return Promise.resolve(this.#power(config));
  }
}

function memoryFile({ templateDirectory }: TemplateVmConfig): string {
  return path.join(templateDirectory, 'memory');
}
