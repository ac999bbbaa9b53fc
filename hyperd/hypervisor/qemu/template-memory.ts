import path from 'node:path';

import type { TemplateFiles, TemplateShape } from '../driver.ts';
import { escape } from './command-line.ts';

/**
 * Kernel, agent and what they have allocated at the time of the save, with little room: what a container
 * writes here does not go back to the host when it is freed.
 */
const kernelMiB = 52;
/** The kernel's page descriptors take 1/64 of the memory that they describe. */
const descriptorShare = 64;
/** Below this there is nothing to gain. */
const leastPrivateMiB = 16;

/** How the memory of a template's VMs is cut in two. */
export interface MemorySplit {
  /** The lower part: it holds what a booted kernel has written, and is shared by all clones. */
  readonly sharedMiB: number;
  /** The upper part: nearly empty in a template, a clone's own from the start. */
  readonly privateMiB: number;
}

/** null when a VM of this size is too small to be cut. */
export function splitMemory({ memoryMiB }: TemplateShape): MemorySplit | null {
  const sharedMiB = kernelMiB + Math.ceil(memoryMiB / descriptorShare / 2) * 2;
  const privateMiB = memoryMiB - sharedMiB;
  return privateMiB < leastPrivateMiB ? null : { sharedMiB, privateMiB };
}

/**
 * The kernel fills memory from below, so that all it needs for itself is in the shared part. Without
 * this word it would put its largest tables at the very top.
 */
export const kernelWord = 'movable_node';

/** File of the shared part. */
export function sharedFile(files: TemplateFiles): string {
  return path.join(files.templateDirectory, 'memory');
}

/** File of a VM's private part; it loses its name once QEMU has opened it. */
export function privateFile(files: TemplateFiles, vmId: string): string {
  return path.join(files.privateDirectory, vmId.slice(0, 20));
}

/**
 * Arguments for the two parts. Clones map the shared part copy-on-write. The private part is a file on
 * tmpfs rather than anonymous memory: QEMU leaves a shared file out of the saved state, of whose two
 * million zero pages it would have to take note otherwise. For the guest it is all one memory.
 */
export function memoryArguments(
  split: MemorySplit,
  options: TemplateFiles & {
    readonly id: string;
    readonly vcpus: number;
    readonly isTemplate: boolean;
  },
): readonly string[] {
  const { sharedMiB, privateMiB } = split;
  const share = options.isTemplate ? 'on' : 'off';
  const cpus = options.vcpus === 1 ? '0' : `0-${String(options.vcpus - 1)}`;
  const shared = escape(sharedFile(options));
  const own = escape(privateFile(options, options.id));
  return [
    ...['-m', `${String(sharedMiB + privateMiB)}M`],
    '-object',
    `memory-backend-file,id=shared,size=${String(sharedMiB)}M,mem-path=${shared},share=${share}`,
    '-object',
    `memory-backend-file,id=private,size=${String(privateMiB)}M,mem-path=${own},share=on`,
    ...['-numa', `node,nodeid=0,memdev=shared,cpus=${cpus}`],
    ...['-numa', 'node,nodeid=1,memdev=private'],
  ];
}
