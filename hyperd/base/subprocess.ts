import {
  type ChildProcess,
  spawn as spawnChild,
  type SpawnOptions as ChildOptions,
} from 'node:child_process';

import { HyperError } from './error.ts';

export type { ChildProcess };

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to the child's stdin, which is then closed; without it stdin is /dev/null. */
  readonly input?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** Called with each chunk of stdout and stderr as it arrives. */
  readonly onOutput?: (text: string) => void;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

const errorTailChars = 2000;

/**
 * Runs a program to its end, without a shell. Rejects UNAVAILABLE when it is not installed and
 * INTERNAL with the end of its stderr when it exits non-zero or is killed.
 */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = spawnProcess(command, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    options.onOutput?.(chunk);
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    options.onOutput?.(chunk);
  });
  // A child that exits without reading its input is judged by its exit code, not by EPIPE.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input);
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  child.once('error', (cause) => {
    reject(spawnError(command, cause));
  });
  child.once('close', (code, killedBy) => {
    if (code === 0) {
      resolve({ stdout, stderr });
      return;
    }
    const how = killedBy === null ? `exit status ${String(code)}` : `killed by ${killedBy}`;
    const tail = (stderr || stdout).trim().slice(-errorTailChars);
    reject(new HyperError('INTERNAL', `${command} ${args.join(' ')}: ${how}: ${tail}`));
  });
  return promise;
}

/** Starts a program without a shell and hands over the child; the caller waits for it and ends it. */
export function spawnProcess(
  command: string,
  args: readonly string[],
  options: ChildOptions & { readonly shell?: never },
): ChildProcess {
  return spawnChild(command, [...args], options);
}

function spawnError(command: string, cause: Error): HyperError {
  if ('code' in cause && cause.code === 'ENOENT') {
    return new HyperError('UNAVAILABLE', `${command}: not installed on this host`, { cause });
  }
  return new HyperError('INTERNAL', `${command}: ${cause.message}`, { cause });
}
