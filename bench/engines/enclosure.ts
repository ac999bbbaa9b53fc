import { once } from 'node:events';

import { type ChildProcess, run, spawnProcess } from '../../hyperd/base/subprocess.ts';
import { descendants, listProcesses, type ProcessStat } from './processes.ts';

/** An address that no container network uses, for requests to published ports. */
export const enclosureAddress = '198.18.0.1';

/** How long a daemon may take to end by itself. */
const graceMs = 20_000;
const logCharacters = 16_384;

/** Prepares the namespaces, then becomes the daemon. */
const hostRootScript = `set -e
ip link set lo up
ip address add ${enclosureAddress}/32 dev lo
mount -t proc proc /proc
exec "$@"
`;

export interface EnclosureOptions {
  /** A shell script that gets the command as its arguments, and executes it. */
  readonly script?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Ends everything at once. */
  readonly signal: AbortSignal;
}

/**
 * A daemon in process, mount and network namespaces of its own: whatever it started, mounted and
 * configured goes with it, also when the bench itself is killed. Dispose ends it.
 */
export class Enclosure implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #signal: AbortSignal;
  #log = '';

  private constructor(child: ChildProcess, signal: AbortSignal) {
    this.#child = child;
    this.#signal = signal;
    this.#ended = once(child, 'close').catch((cause: unknown) => {
      this.#log += String(cause);
    });
    const collect = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString()).slice(-logCharacters);
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    signal.addEventListener('abort', this.#kill);
  }

  static start(command: readonly string[], options: EnclosureOptions): Enclosure {
    const { script = hostRootScript, env = process.env, signal } = options;
    signal.throwIfAborted();
    const namespaces = ['--pid', '--net', '--mount', '--propagation', 'private'];
    const args = [
      ...['--pdeathsig', 'KILL', 'unshare', '--fork', '--kill-child', ...namespaces],
      ...['sh', '-c', script, 'enclosure', ...command],
    ];
    // In a session of its own, as Ctrl-C is for the bench, which ends the daemon in order.
    const child = spawnProcess('setpriv', args, {
      detached: true,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Enclosure(child, signal);
  }

  /** The end of what the daemon printed. */
  get log(): string {
    return this.#log;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The daemon and everything that it started, its own process first. */
  async processes(): Promise<readonly ProcessStat[]> {
    const [, ...inside] = descendants(await listProcesses(), this.#child.pid ?? -1);
    return inside;
  }

  /** Runs a program of the host in the daemon's network namespace; returns its stdout. */
  async command(command: string, args: readonly string[]): Promise<string> {
    const [first] = await this.processes();
    if (first === undefined) throw new Error(`the daemon has ended: ${this.#log}`);
    const network = `--net=/proc/${String(first.pid)}/ns/net`;
    const { stdout } = await run('nsenter', [network, command, ...args], { signal: this.#signal });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const [first] = await this.processes();
    if (first !== undefined && !this.hasEnded) signalIfAlive(first.pid, 'SIGTERM');
    const late = setTimeout(this.#kill, graceMs);
    await this.#ended;
    clearTimeout(late);
    this.#signal.removeEventListener('abort', this.#kill);
  }

  /** The kernel ends the rest: `--kill-child` and the process namespace. */
  readonly #kill = (): void => {
    this.#child.kill('SIGKILL');
  };
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
