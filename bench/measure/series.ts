import { messageOf } from '../../hyperd/base/error.ts';

/** Something that is not there, or was not measured, and why. */
export interface Absent {
  readonly absent: string;
}

/** What was measured, in the order of the runs. */
export type Samples<T> = readonly T[] | Absent;
export type Series = Samples<number>;

/** One measurement of one subject; the round counts from 0. */
export type Measurement<T> = (round: number) => Promise<T>;

export function isAbsent(value: object): value is Absent {
  return 'absent' in value;
}

/** An action on something, or the reason why that is absent. */
export function withPresent<T extends object, R>(
  thing: T | Absent,
  action: (thing: T) => R,
): R | Absent {
  return isAbsent(thing) ? thing : action(thing);
}

/**
 * Measures all subjects once per round, since the machine's other load changes with time; the one that
 * begins changes too, and the one that each comes after: memory that was just freed is quicker to be had
 * than any other. A subject that fails is absent from then on, and the others go on.
 */
export async function interleave<Name extends string, T>(
  rounds: number,
  subjects: Readonly<Record<Name, Measurement<T> | Absent>>,
  signal: AbortSignal,
): Promise<Readonly<Record<Name, Samples<T>>>> {
  const names = Object.keys(subjects) as Name[];
  const samples = Object.fromEntries(
    names.map((name) => [name, isAbsent(subjects[name]) ? subjects[name] : []]),
  ) as Record<Name, T[] | Absent>;
  for (let round = 0; round < rounds; round++) {
    for (const name of inTurn(names, round)) {
      const [subject, own] = [subjects[name], samples[name]];
      if (isAbsent(subject) || isAbsent(own)) continue;
      signal.throwIfAborted();
      try {
        own.push(await subject(round));
      } catch (thrown) {
        samples[name] = { absent: `failed in run ${String(round + 1)}: ${messageOf(thrown)}` };
      }
    }
  }
  signal.throwIfAborted();
  return samples;
}

/** All names from another one on each round, and in another step. */
function inTurn<Name>(names: readonly Name[], round: number): readonly Name[] {
  const count = names.length;
  const steps = names.map((_, step) => step).filter((step) => greatestDivisor(step, count) === 1);
  const step = steps[round % Math.max(1, steps.length)] ?? 1;
  return names.flatMap((_, index) => names[(round + index * step) % count] ?? []);
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** A part of each sample, or a figure made of it. */
export function mapSamples<T, R>(samples: Samples<T>, pick: (sample: T) => R): Samples<R> {
  return isAbsent(samples) ? samples : samples.map(pick);
}

/** Some of the samples. */
export function mapAll<T>(
  samples: Samples<T>,
  pick: (all: readonly T[]) => readonly T[],
): Samples<T> {
  return isAbsent(samples) ? samples : pick(samples);
}

/** Both series run by run; the reason of the one that is absent. */
export function combine(a: Series, b: Series, operation: (a: number, b: number) => number): Series {
  if (isAbsent(a)) return a;
  if (isAbsent(b)) return b;
  return a.map((value, index) => operation(value, b[index] ?? Number.NaN));
}
