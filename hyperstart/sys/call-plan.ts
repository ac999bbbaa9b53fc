import { O_CLOEXEC } from './constants.ts';
import { EINVAL } from './errno.ts';
import type { Kernel } from './kernel.ts';
import type { SystemCallArgument } from './native.ts';
import { type SystemCallName, systemCalls } from './system-calls.ts';
import { encodeWords } from './text.ts';

/**
 * Descriptors that a child keeps for later calls: the last ones that a process may have by default. Those
 * that it inherits are lower.
 */
export const keptDescriptors = {
  root: 1016,
  opened: 1017,
  file: 1018,
  terminal: 1019,
  slave: 1020,
} as const;
export type KeptName = keyof typeof keptDescriptors;
export const firstKept = keptDescriptors.root;

/** A path to what a kept descriptor has opened. */
export function pathOf(name: KeptName): string {
  return `/proc/self/fd/${String(keptDescriptors[name])}`;
}

/** As native/plan.c: stands for what the last call that succeeded has returned. */
const lastResult = 2 ** 52;

export type SystemCall = readonly [name: SystemCallName, ...args: SystemCallArgument[]];

export interface CallOptions {
  /** Errors that are no failure, by `errnoMask`. */
  readonly tolerates?: number;
}

/** A set of error numbers below 53. */
export function errnoMask(...errnos: readonly number[]): number {
  return errnos.reduce((mask, errno) => mask + 2 ** errno, 0);
}

/** What a call of a plan is for. */
export interface CallLabel {
  /** A larger step, such as `execve` or `chdir`. */
  readonly step: string;
  readonly operation: string;
}

/** A call as native/plan.c takes it, in doubles: number, six arguments, and then these. */
const callFields = 10;
const toleratedField = 7;
const afterSuccessField = 8;
const afterErrorField = 9;
/** Room for most plans. */
const usualCalls = 192;

/** Calls of a part among those of a plan. */
interface Included {
  readonly at: number;
  readonly part: PlanPart;
}

/**
 * System calls that a child makes one after the other until its program runs. The first one that fails
 * ends it.
 */
export class CallPlan {
  readonly #kernel: Kernel;
  #fields = new Float64Array(usualCalls * callFields);
  #length = 0;
  /** Step and operation of each call that is in no part, alternating. */
  readonly #labels: string[] = [];
  readonly #included: Included[] = [];
  /** Strings among the arguments, and their fields. The first one is nobody's. */
  readonly #texts: string[] = [''];
  readonly #textFields: number[] = [-1];
  readonly #held: ArrayBuffer[] = [];
  #step = 'start';

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Names the step that the next calls belong to. */
  begin(step: string): void {
    this.#step = step;
  }

  add(operation: string, call: SystemCall, options?: CallOptions): void {
    const first = this.#length * callFields;
    this.#makeRoom(first + callFields);
    const fields = this.#fields;
    fields[first] = systemCalls[call[0]];
    // By index: this is the agent's hottest loop, and the engine's iterators are slow.
    for (let index = 1; index < call.length; index++) {
      const argument = call[index];
      if (typeof argument === 'number') fields[first + index] = argument;
      else if (typeof argument === 'string') {
        this.#texts.push(argument);
        this.#textFields.push(first + index);
      } else if (argument instanceof ArrayBuffer) fields[first + index] = this.hold(argument);
    }
    if (options?.tolerates !== undefined) fields[first + toleratedField] = options.tolerates;
    this.#labels.push(this.#step, operation);
    this.#length += 1;
  }

  #makeRoom(length: number): void {
    if (length <= this.#fields.length) return;
    const larger = new Float64Array(Math.max(length, this.#fields.length * 2));
    larger.set(this.#fields);
    this.#fields = larger;
  }

  /** Adds the calls of a part, which must live as long as the plan. */
  include(part: PlanPart): void {
    const first = this.#length * callFields;
    this.#makeRoom(first + part.fields.length);
    this.#fields.set(part.fields, first);
    this.#included.push({ at: this.#length, part });
    this.#length += part.length;
  }

  /** Keeps the descriptor that the last call has opened; the first one it had ends with execve. */
  keep(name: KeptName): void {
    this.add('keep a descriptor', ['dup3', lastResult, keptDescriptors[name], O_CLOEXEC]);
  }

  /** Writes a text to a kept descriptor. */
  write(operation: string, name: KeptName, text: string): void {
    const bytes = this.#kernel.native.encodeText(text);
    this.add(operation, ['write', keptDescriptors[name], bytes, bytes.byteLength]);
  }

  /** Adds a call; when it fails with an error that it tolerates, the group is left out. */
  unless(operation: string, call: SystemCall, options: CallOptions, group: () => void): void {
    const field = this.#length * callFields + afterErrorField;
    this.add(operation, call, options);
    const length = this.#count(group);
    this.#fields[field] = length;
  }

  /** Adds a call; only when it fails with an error that it tolerates, the group is made. */
  orElse(operation: string, call: SystemCall, options: CallOptions, group: () => void): void {
    const field = this.#length * callFields + afterSuccessField;
    this.add(operation, call, options);
    const length = this.#count(group);
    this.#fields[field] = length;
  }

  #count(group: () => void): number {
    const before = this.#length;
    group();
    return this.#length - before;
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
    for (let index = 1; index < addresses.length; index++) {
      this.#fields[this.#textFields[index] ?? 0] = addresses[index] ?? 0;
    }
    const encoded = this.#fields.buffer.slice(0, this.#length * callFields * 8);
    this.#held.push(encoded);
    return encoded;
  }

  /** What the call at this place is for: with the first text among its arguments, mostly a path. */
  labelOf(place: number): CallLabel {
    let own = place;
    for (const { at, part } of this.#included) {
      if (place < at) break;
      if (place < at + part.length) return part.labelOf(place - at);
      own -= part.length;
    }
    const step = this.#labels[own * 2];
    const operation = this.#labels[own * 2 + 1];
    if (step === undefined || operation === undefined) {
      return { step: 'start', operation: 'start a process' };
    }
    const at = this.#textFields.findIndex((field) => Math.floor(field / callFields) === place);
    const text = at > 0 ? ` ${this.#texts[at] ?? ''}` : '';
    return { step, operation: `${operation}${text}` };
  }
}

/** Calls that several plans have in common, planned once. */
export class PlanPart {
  /** As the C module takes them; with the addresses of what they point to, which lives as long as the part. */
  readonly fields: Float64Array;
  readonly #plan: CallPlan;

  constructor(kernel: Kernel, make: (plan: CallPlan) => void) {
    this.#plan = new CallPlan(kernel);
    make(this.#plan);
    this.fields = new Float64Array(this.#plan.encode());
  }

  /** How many calls. */
  get length(): number {
    return this.fields.length / callFields;
  }

  labelOf(place: number): CallLabel {
    return this.#plan.labelOf(place);
  }
}

/** So many are kept. One container, its further processes and its rehearsal need a dozen. */
const maxParts = 32;

/** The parts that were planned before. */
export class PlanParts {
  readonly #kernel: Kernel;
  readonly #parts = new Map<string, PlanPart>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** A part of a step; `key` tells all that its calls depend on. */
  get(step: string, key: string, make: (plan: CallPlan) => void): PlanPart {
    const name = `${step}\0${key}`;
    const known = this.#parts.get(name);
    if (known !== undefined) return known;
    // Plans that are being made hold on to the parts that they include.
    if (this.#parts.size >= maxParts) this.#parts.clear();
    const part = new PlanPart(this.#kernel, (plan) => {
      plan.begin(step);
      make(plan);
    });
    this.#parts.set(name, part);
    return part;
  }
}
