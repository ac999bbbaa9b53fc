import { collect, type RunFlag, runFlags, runOnlyFlags } from './run-flags.ts';
import type { RunOptions } from './run-options.ts';

/** A call of `hyper run` in the foreground. */
export interface RunCall {
  readonly host: string | undefined;
  readonly image: string;
  readonly command: readonly string[];
  readonly options: RunOptions;
}

/**
 * Reads a plain call of `run` as commander does, which takes longer to load and set up than all else
 * that we do before a request; null for any other call, and for one with a fault: commander judges it.
 */
export function parseRunCall(args: readonly string[]): RunCall | null {
  const hasHost = args[0] === '-H' || args[0] === '--host';
  const [verb, ...words] = args.slice(hasHost ? 2 : 0);
  if (verb !== 'run') return null;
  const flags = [...runFlags, ...runOnlyFlags].map(parseFlag);
  const values: Record<string, unknown> = {};
  for (const { key, initial } of flags) if (initial !== undefined) values[key] = initial;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (!word.startsWith('-')) {
      const options = values as unknown as RunOptions;
      const host = hasHost ? args[1] : undefined;
      return options.detach === true ? null : { host, image: word, command: words, options };
    }
    if (!takeFlag(word, words, { flags, values })) return null;
  }
  return null;
}

interface ParsedFlag extends RunFlag {
  readonly names: readonly string[];
  /** Its name among the options. */
  readonly key: string;
  readonly takesValue: boolean;
}

function parseFlag(flag: RunFlag): ParsedFlag {
  const [names = '', value] = flag.flag.split(' <');
  const long = names.slice(names.indexOf('--') + 2);
  const key = long.replace(/-(.)/g, (_match, letter: string) => letter.toUpperCase());
  return { ...flag, names: names.split(', '), key, takesValue: value !== undefined };
}

interface Found {
  readonly flags: readonly ParsedFlag[];
  readonly values: Record<string, unknown>;
}

/** Takes a word for a flag (`--name`, `--name=value`, `-n`, `-nvalue`, several letters), with its value of the rest. */
function takeFlag(word: string, rest: string[], found: Found): boolean {
  const isLong = word.startsWith('--');
  const nameEnd = isLong ? `${word}=`.indexOf('=') : 2;
  const flag = found.flags.find(({ names }) => names.includes(word.slice(0, nameEnd)));
  if (flag === undefined) return false;
  const { key, takesValue, isList } = flag;
  const more = word.slice(nameEnd);
  if (!takesValue) {
    found.values[key] = true;
    return more === '' || (!isLong && takeFlag(`-${more}`, rest, found));
  }
  const value = more === '' ? rest.shift() : isLong ? more.slice(1) : more;
  if (value === undefined) return false;
  found.values[key] = isList === true ? collect(value, found.values[key] as never) : value;
  return true;
}
