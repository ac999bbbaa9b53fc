import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

import { defaultHost } from './host.ts';

/** Our own environment: what a bare `-e NAME` passes on, and where hyperd is. */
export const ownEnvironment: Readonly<Record<string, string | undefined>> = process.env;

/** The installed package; the bundle lies as deep in it as this file does. */
export const packageRoot = path.join(import.meta.dirname, '..');

/** Where `npm start` keeps what it built. */
export const cacheDirectory = process.env['HYPER_CACHE'] ?? path.join(homedir(), '.cache/hyper');

/** The daemon to talk to: of `--host`, else of the environment. */
export function chooseHost(flag: string | undefined): string {
  return flag ?? process.env['HYPER_HOST'] ?? process.env['DOCKER_HOST'] ?? defaultHost;
}

export function packageVersion(): string {
  const text = readFileSync(path.join(packageRoot, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
