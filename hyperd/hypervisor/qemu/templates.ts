import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import path from 'node:path';

import { HyperError } from '../../base/error.ts';
import type {
  ForkAbility,
  TemplateAbility,
  TemplateConfig,
  TemplateFiles,
  TemplateShape,
  TemplateVmConfig,
  Vm,
} from '../driver.ts';
import { bootArguments, type HostCapabilities, nicArguments, vmArguments } from './command-line.ts';
import { diskSlots, slotArguments } from './disk-slots.ts';
import { QemuForks, type QemuForksConfig } from './forks.ts';
import { launchQemu, type QemuLaunch } from './launch.ts';
import { restorePrivateMemory, savePrivateMemory } from './private-memory.ts';
import { sharedMemoryArguments } from './shared-memory.ts';
import {
  kernelWord,
  memoryArguments,
  type MemorySplit,
  privateFile,
  splitMemory,
} from './template-memory.ts';

export interface QemuTemplatesConfig {
  readonly binary: string;
  readonly version: string;
  readonly host: HostCapabilities;
  /** The library that forks VMs; null where there is none. */
  readonly forkLibrary: string | null;
}

/**
 * Templates by QEMU's own means: guest memory in files, the rest of the machine's state by migration to
 * and from a file. Works on stock QEMU from 7.2 on and needs nothing of the guest.
 */
export class QemuTemplates implements TemplateAbility {
  readonly key: string;
  readonly diskSlots = diskSlots;
  readonly forks: ForkAbility | null;
  readonly #config: QemuTemplatesConfig;

  constructor(config: QemuTemplatesConfig) {
    this.#config = config;
    const { forkLibrary, host } = config;
    const launchParent: QemuForksConfig['launchParent'] = (vmConfig, environment, signal) =>
      this.#clone(vmConfig, { environment, signal });
    // What KVM keeps of a VM in the host's kernel belongs to one process.
    const canFork = forkLibrary !== null && !host.kvm && !host.vhostNet;
    this.forks = canFork ? new QemuForks({ library: forkLibrary, host, launchParent }) : null;
    const processor = config.host.kvm ? processorKey() : 'emulated';
    const machine = vmArguments({ id: '', runDirectory: '', vcpus: 1 }, config.host);
    const boot = bootArguments(
      { kernelPath: '', initrdPath: '', kernelArguments: [kernelWord], memoryMiB: 0 },
      config.host,
    );
    const memory = sharedMemoryArguments({ isShared: false });
    const shape = JSON.stringify([...machine, ...boot, ...slotArguments(), ...memory]);
    this.key = `qemu-${config.version} ${processor} vhost=${String(config.host.vhostNet)} ${shape}`;
  }

  supports(shape: TemplateShape): boolean {
    return splitMemory(shape) !== null;
  }

  async makeTemplate(
    config: TemplateConfig,
    prepare: (vm: Vm) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const arguments_ = [
      ...this.#arguments(config, true),
      ...bootArguments(
        { ...config, kernelArguments: [kernelWord], memoryMiB: config.shape.memoryMiB },
        this.#config.host,
      ),
    ];
    await using undo = new AsyncDisposableStack();
    undo.defer(() => rm(privateFile(config, config.id), { force: true }));
    const launch = this.#launch(config, arguments_);
    const vm = undo.use(await launchQemu(launch, (started) => started.resume(), signal));
    await prepare(vm);
    signal.throwIfAborted();
    await vm.pause();
    await vm.saveState(stateFile(config));
    await savePrivateMemory(config, config.id);
  }

  launchClone(config: TemplateVmConfig, signal: AbortSignal): Promise<Vm> {
    return this.#clone(config, { environment: {}, signal });
  }

  async #clone(
    config: TemplateVmConfig,
    { environment, signal }: { environment: Record<string, string>; signal: AbortSignal },
  ): Promise<Vm> {
    const startedAt = performance.now();
    await using state = await open(stateFile(config));
    await using _ = await restorePrivateMemory(config, config.id);
    const arguments_ = [...this.#arguments(config, false), '-incoming', 'defer'];
    const base = { ...this.#launch(config, arguments_), startedAt };
    const launch = { ...base, stateFile: state.fd, environment };
    const begin = async (vm: Parameters<Parameters<typeof launchQemu>[1]>[0]): Promise<void> => {
      await vm.loadState();
      await vm.resume();
    };
    // Awaited here: the files must be there until QEMU has opened them.
    return await launchQemu(launch, begin, signal);
  }

  #arguments(config: TemplateVmConfig, isTemplate: boolean): readonly string[] {
    const { shape, nic, id } = config;
    const { host } = this.#config;
    const { vcpus } = shape;
    return [
      ...vmArguments({ ...config, vcpus }, host),
      ...(host.kvm ? [] : sharedMemoryArguments({ isShared: false })),
      ...memoryArguments(requireSplit(shape), { ...config, id, vcpus, isTemplate }),
      ...slotArguments(),
      ...(nic === null ? [] : nicArguments(nic, host)),
    ];
  }

  #launch({ id, runDirectory }: TemplateVmConfig, arguments_: readonly string[]): QemuLaunch {
    const { binary, host } = this.#config;
    const startedAt = performance.now();
    return { binary, host, id, runDirectory, startedAt, arguments: arguments_ };
  }
}

function requireSplit(shape: TemplateShape): MemorySplit {
  const split = splitMemory(shape);
  if (split !== null) return split;
  throw new HyperError(
    'UNSUPPORTED',
    `a template of ${String(shape.memoryMiB)} MiB: that is too little memory to share any`,
  );
}

function stateFile({ templateDirectory }: TemplateFiles): string {
  return path.join(templateDirectory, 'state');
}

/** With KVM the guest sees the host's processor: another one, or other microcode, is another template. */
function processorKey(): string {
  const [first = ''] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n');
  const lines = first.split('\n').filter((line) => /^(model name|microcode|flags)/.test(line));
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}
