import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

import { hostOf } from './host.ts';
import { sentRequestVariable } from './run-request-text.ts';

/** Our own environment: what a bare `-e NAME` passes on, and where hyperd is. */
export function ownEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** The installed package; the bundle lies as deep in it as this file does. */
export const packageRoot = path.join(import.meta.dirname, '..');

/** Where `npm start` keeps what it built. */
export const cacheDirectory = process.env['HYPER_CACHE'] ?? path.join(homedir(), '.cache/hyper');

/** The daemon to talk to. */
export function chooseHost(flag: string | undefined): string {
  return hostOf(flag, process.env);
}

/** Descriptor of the socket on which early-run has sent the request of this call; null when it has not. */
export function takeSentRequest(): number | null {
  const text = process.env[sentRequestVariable];
  Reflect.deleteProperty(process.env, sentRequestVariable);
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : null;
}

export function packageVersion(): string {
  const text = readFileSync(path.join(packageRoot, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
