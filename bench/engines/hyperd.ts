import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import { type Artifacts, artifactFlags } from '../../setup/artifacts.ts';
import { root } from '../../setup/paths.ts';
import { Enclosure } from './enclosure.ts';
import { Engine } from './engine.ts';

/** How hyperd comes by the VM of a container. `default` is what it does when it is not told. */
export const hyperModes = {
  default: [],
  cold: [['--template', 'off']],
  template: [
    ['--template', 'on'],
    ['--pool-size', '0'],
  ],
  pool: [
    ['--template', 'on'],
    ['--pool-size', '2'],
  ],
} as const satisfies Record<string, readonly (readonly [flag: string, value: string])[]>;

export type HyperMode = keyof typeof hyperModes;

const main = path.join(root, 'hyperd/main.ts');

/**
 * The flags of a mode. A hyperd that knows no template boots cold anyway; it cannot do the other
 * modes, which is told as an error.
 */
export function modeFlags(mode: HyperMode, help: string): readonly string[] {
  const flags: readonly (readonly [string, string])[] = hyperModes[mode];
  const unknown = flags.find(([flag]) => !help.includes(`${flag} `));
  if (unknown === undefined) return flags.flat();
  if (mode === 'cold') return [];
  throw new Error(`this hyperd has no ${unknown[0]}`);
}

export interface HyperdOptions {
  readonly mode: HyperMode;
  readonly artifacts: Artifacts;
  /** Made here, and removed with the daemon. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** Starts a hyperd with data and network of its own. */
export async function startHyperd(options: HyperdOptions): Promise<Engine> {
  const { mode, artifacts, directory, signal } = options;
  const { stdout: help } = await run(process.execPath, [main, '--help']);
  const flags = modeFlags(mode, help);
  await using undo = new AsyncDisposableStack();
  await mkdir(directory);
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  const socket = path.join(directory, 'sock');
  const command = [
    ...[process.execPath, main, ...artifactFlags(artifacts), ...flags],
    ...['--data-root', path.join(directory, 'data')],
    // Short, as the names of sockets beneath must fit into 108 bytes.
    ...['--exec-root', path.join(directory, 'r')],
    ...['--host', `unix://${socket}`],
  ];
  const enclosure = undo.use(Enclosure.start(command, { signal }));
  const isDaemon = (_: unknown, index: number): boolean => index === 0;
  return await Engine.open({ socket, enclosure, isDaemon, signal, undo: undo.move() });
}
