import { once } from 'node:events';
import path from 'node:path';

import { type ChildProcess, spawnProcess } from '../../hyperd/base/subprocess.ts';
import type { CommandResult } from './daemon.ts';

/** The launcher that people call; it bundles the command line when a source is newer. */
const launcher = path.join(import.meta.dirname, '../../bin/hyper');

/** Starts our command line against the daemon at a unix socket, with pipes for its stdio, or a file as stdin. */
export function startHyper(
  socket: string,
  args: readonly string[],
  stdin: 'pipe' | number = 'pipe',
): ChildProcess {
  return spawnProcess(launcher, args, {
    stdio: [stdin, 'pipe', 'pipe'],
    env: { ...process.env, HYPER_HOST: `unix://${socket}` },
  });
}

/** Runs our command line to its end, with `input` as its stdin. */
export async function runHyper(
  socket: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<CommandResult> {
  const hyper = startHyper(socket, args);
  let stdout = '';
  let stderr = '';
  hyper.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  hyper.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  hyper.stdin?.on('error', () => undefined);
  hyper.stdin?.end(input);
  const [code] = (await once(hyper, 'close')) as [number | null];
  return { code, stdout, stderr };
}
