import { EINVAL } from './errno.ts';
import type { Kernel } from './kernel.ts';
import type { SystemCallArgument } from './native.ts';
import { type SystemCallName, systemCalls } from './system-calls.ts';
import { encodeWords } from './text.ts';

/** Places where a child keeps a descriptor for later calls. */
export const slots = { root: 1, opened: 2, file: 3, terminal: 4, slave: 5 } as const;
export type SlotName = keyof typeof slots;

/** As in native/plan.c: numbers that are no argument of any call of ours. */
const slotValues = 2 ** 52;
const slotPaths = slotValues + 8;

/** Stands for the descriptor in a slot. */
export function descriptorIn(slot: SlotName): number {
  return slotValues + slots[slot];
}

/** Stands for a path to what the descriptor in a slot has opened. */
export function pathOf(slot: SlotName): number {
  return slotPaths + slots[slot];
}

export type SystemCall = readonly [name: SystemCallName, ...args: SystemCallArgument[]];

export interface CallOptions {
  /** Where the result is kept. */
  readonly into?: SlotName;
  /** Error numbers below 53 that are no failure. */
  readonly tolerates?: readonly number[];
}

/** What a call of a plan is for. */
export interface CallLabel {
  /** A larger step, such as `execve` or `chdir`. */
  readonly step: string;
  readonly operation: string;
}

/** A call as native/plan.c takes it: doubles. */
const fields = { arguments: 1, afterSuccess: 9, afterError: 10 };
const callFields = 11;

/**
 * System calls that a child makes one after the other until its program runs. The first one that fails
 * ends it.
 */
export class CallPlan {
  readonly #kernel: Kernel;
  readonly #fields: number[] = [];
  readonly #labels: CallLabel[] = [];
  /** Strings among the arguments, and their fields. The first one is nobody's. */
  readonly #texts: string[] = [''];
  readonly #textFields: number[] = [];
  readonly #held: ArrayBuffer[] = [];
  #step = 'start';

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Names the step that the next calls belong to. */
  begin(step: string): void {
    this.#step = step;
  }

  add(operation: string, [name, ...args]: SystemCall, { into, tolerates }: CallOptions = {}): void {
    const tolerated = (tolerates ?? []).reduce((mask, errno) => mask + 2 ** errno, 0);
    const first = this.#fields.length;
    const slot = into === undefined ? 0 : slots[into];
    this.#fields.push(systemCalls[name], 0, 0, 0, 0, 0, 0, tolerated, slot, 0, 0);
    let at = first + fields.arguments;
    for (const argument of args) {
      if (typeof argument === 'number') this.#fields[at] = argument;
      else if (typeof argument === 'string') {
        this.#texts.push(argument);
        this.#textFields.push(at);
      } else if (argument !== null) this.#fields[at] = this.hold(argument);
      at += 1;
    }
    this.#labels.push({ step: this.#step, operation });
  }

  /** Writes a text to the descriptor in a slot. */
  write(operation: string, slot: SlotName, text: string): void {
    const bytes = this.#kernel.native.encodeText(text);
    this.add(operation, ['write', descriptorIn(slot), bytes, bytes.byteLength]);
  }

  /** Adds a call; when it fails with an error that it tolerates, the group is left out. */
  unless(operation: string, call: SystemCall, options: CallOptions, group: () => void): void {
    const first = this.#fields.length;
    this.add(operation, call, options);
    this.#fields[first + fields.afterError] = this.#count(group);
  }

  /** Adds a call; only when it fails with an error that it tolerates, the group is made. */
  orElse(operation: string, call: SystemCall, options: CallOptions, group: () => void): void {
    const first = this.#fields.length;
    this.add(operation, call, options);
    this.#fields[first + fields.afterSuccess] = this.#count(group);
  }

  #count(group: () => void): number {
    const before = this.#fields.length;
    group();
    return (this.#fields.length - before) / callFields;
  }

  /** The address of a buffer, which lives as long as the plan. */
  hold(buffer: ArrayBuffer): number {
    this.#held.push(buffer);
    return this.#kernel.native.addressOf(buffer);
  }

  /** For Native.spawn. */
  encode(): ArrayBuffer {
    const { bytes, addresses } = encodeWords(this.#kernel.native, this.#texts);
    if (addresses.length !== this.#texts.length) {
      throw this.#kernel.error('pass a text with a NUL', EINVAL);
    }
    this.#held.push(bytes);
    for (const [index, field] of this.#textFields.entries()) {
      this.#fields[field] = addresses[index + 1] ?? 0;
    }
    const encoded = Float64Array.from(this.#fields).buffer;
    this.#held.push(encoded);
    return encoded;
  }

  /** What the call at this place is for. */
  labelOf(place: number): CallLabel {
    return this.#labels[place] ?? { step: 'start', operation: 'start a process' };
  }
}
