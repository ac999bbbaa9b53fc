import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { unlessAborted } from '../../hyperd/base/deadline.ts';
import type {
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

  #power(config: TemplateVmConfig): FakeVm {
    const { readOnly, writable } = this.diskSlots;
    const slots = [
      ...Array.from({ length: readOnly }, (_, index) => `r${String(index)}`),
      ...Array.from({ length: writable }, (_, index) => `w${String(index)}`),
    ];
    return new FakeVm(this.#driver.power(config.id), config, slots);
  }
}

function memoryFile({ templateDirectory }: TemplateVmConfig): string {
  return path.join(templateDirectory, 'memory');
}
