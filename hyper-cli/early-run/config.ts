import { nativeKernel } from '../../hyperstart/sys/native-kernel.ts';
import { Words } from './words.ts';

/** Our environment as it is passed on. */
export const environmentWords = new Words(nativeKernel, '/proc/self/environ');

/** The same by name: stands in for what ../config.ts has from Node. */
export const ownEnvironment: Readonly<Record<string, string | undefined>> = Object.fromEntries(
  environmentWords.texts.map((text) => {
    const equals = text.indexOf('=');
    return [text.slice(0, equals), text.slice(equals + 1)];
  }),
);
