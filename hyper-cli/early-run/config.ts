import { nativeKernel } from '../../hyperstart/sys/native-kernel.ts';
import { Words } from './words.ts';

let words: Words | null = null;

/** Our environment as it is passed on. Not at once: this is loaded when it is built. */
export function environmentWords(): Words {
  words ??= new Words(nativeKernel, '/proc/self/environ');
  return words;
}

/** The same by name: stands in for what ../config.ts has from Node. */
export function ownEnvironment(): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    environmentWords().texts.map((text) => {
      const equals = text.indexOf('=');
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}
