import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import type { ChildProcess } from 'node:child_process';

import { ApiClient } from '../../hyper-cli/api-client.ts';
import { run, spawnProcess } from '../../hyperd/base/subprocess.ts';
import { testInitrd, testKernel, testVmFork } from './artifacts.ts';
import { testMkfsErofs } from './erofs.ts';

const root = path.join(import.meta.dirname, '../..');
const cache = process.env['HYPER_CACHE'] ?? path.join(homedir(), '.cache/hyper');
const startDeadlineMs = 60_000;

/** Result of a program that may fail. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A real hyperd in a network namespace and folders of its own. Dispose: ends it and every VM that it
 * started, and fails when something is left behind.
 */
export class TestDaemon implements AsyncDisposable {
  readonly directory: string;
  readonly socket: string;
  readonly namespace: string;
  readonly #flags: readonly string[];
  #hyperd: ChildProcess | null = null;
  #log = '';

  private constructor(directory: string, namespace: string, flags: readonly string[]) {
    this.#flags = flags;
    this.directory = directory;
    this.namespace = namespace;
    this.socket = path.join(directory, 'hyper.sock');
  }

  /** With images loaded; `flags` are further ones of hyperd. On failure nothing is left behind. */
  static async start(
    images: readonly string[],
    flags: readonly string[] = [],
  ): Promise<TestDaemon> {
    const directory = await mkdtemp(path.join(tmpdir(), 'hyt-'));
    const namespace = path.basename(directory);
    await run('ip', ['netns', 'add', namespace]);
    await using undo = new AsyncDisposableStack();
    const daemon = undo.use(new TestDaemon(directory, namespace, flags));
    await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    await daemon.startHyperd();
    for (const image of images) await daemon.load(image);
    undo.move();
    return daemon;
  }

  get api(): ApiClient {
    return new ApiClient(`unix://${this.socket}`);
  }

  /** What hyperd has logged so far. */
  get log(): string {
    return this.#log;
  }

  async startHyperd(): Promise<void> {
    const flags = [
      ...['--kernel', await testKernel()],
      ...['--initrd', await testInitrd()],
      ...['--mkfs-erofs', await testMkfsErofs()],
      ...['--vm-fork', await testVmFork()],
      ...['--data-root', path.join(this.directory, 'data')],
      ...['--exec-root', path.join(this.directory, 'run')],
      ...['--host', `unix://${this.socket}`],
      ...this.#flags,
    ];
    const hyperd = spawnProcess(
      'nsenter',
      [
        `--net=/run/netns/${this.namespace}`,
        process.execPath,
        path.join(root, 'hyperd/main.ts'),
        ...flags,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#hyperd = hyperd;
    hyperd.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    const deadline = Date.now() + startDeadlineMs;
    while (!(await this.#answers())) {
      if (hyperd.exitCode !== null || Date.now() > deadline) {
        throw new Error(`hyperd does not start: ${this.#log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ends hyperd alone; its VMs go on. */
  async stopHyperd(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const hyperd = this.#hyperd;
    if (hyperd === null || hyperd.exitCode !== null || hyperd.signalCode !== null) return;
    const ended = once(hyperd, 'exit');
    hyperd.kill(signal);
    await ended;
  }

  /** Loads a demo image from the cache. */
  async load(image: string): Promise<void> {
    const files = await readdir(path.join(cache, 'images'));
    const file = files.find((name) => name.startsWith(`${image}-`) && name.endsWith('.tar'));
    if (file === undefined)
      throw new Error(`demo image ${image} is not built: node images/build.ts`);
    const upload = createReadStream(path.join(cache, 'images', file));
    const messages = this.api.lines<{ error?: string }>('POST', '/images/load', { upload });
    for await (const { error } of messages) if (error !== undefined) throw new Error(error);
  }

  /** Runs the docker CLI against this daemon, inside its network namespace. */
  docker(args: readonly string[], input: string | Uint8Array = ''): Promise<CommandResult> {
    return this.command('docker', args, input);
  }

  /** Runs any program inside the daemon's network namespace. */
  async command(
    command: string,
    args: readonly string[],
    input: string | Uint8Array = '',
  ): Promise<CommandResult> {
    const child = spawnProcess(
      'nsenter',
      [`--net=/run/netns/${this.namespace}`, command, ...args],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: {
          ...process.env,
          DOCKER_HOST: `unix://${this.socket}`,
          HYPER_HOST: `unix://${this.socket}`,
        },
      },
    );
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  }

  /** Host processes whose command line names this daemon's folder: its VMs. */
  async vmPids(): Promise<readonly number[]> {
    const pids: number[] = [];
    for (const entry of await readdir('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      try {
        const command = await readFile(`/proc/${entry}/cmdline`, 'utf8');
        if (command.startsWith('qemu-system') && command.includes(this.directory))
          pids.push(Number(entry));
      } catch {
        // It ended while we looked.
      }
    }
    return pids;
  }

  /** What is left in the host of pods and of VMs that wait for one: processes, TAP devices, sockets, mounts. */
  async leftovers(): Promise<readonly string[]> {
    const links = await run('ip', ['-n', this.namespace, '-brief', 'link']);
    const taps = links.stdout
      .split('\n')
      .filter((line) => line.startsWith('hyp') && !line.startsWith('hyper0'))
      .slice((await this.#answers()) ? spareTaps : 0);
    const runs = await readdir(path.join(this.directory, 'run'), { recursive: true }).catch(
      () => [],
    );
    const sockets = runs.filter((file) => file.endsWith('.sock') && file !== 'hyper.sock');
    const mounts = (await readFile('/proc/self/mounts', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(` ${this.directory}/`));
    const vms = await this.vmPids();
    return [...mounts, ...vms.map((pid) => `VM process ${String(pid)}`), ...taps, ...sockets];
  }

  async removeAll(): Promise<void> {
    const list = await this.api.json<readonly { Id: string }[]>('GET', '/containers/json', {
      query: { all: true },
    });
    for (const { Id } of list)
      await this.api.open('DELETE', `/containers/${Id}`, { query: { force: true, v: true } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const left: string[] = [];
    try {
      if (await this.#answers()) await this.removeAll();
      // The VMs that wait for a container are hyperd's own: they end with it.
      await this.stopHyperd('SIGTERM');
      left.push(...(await this.leftovers()));
    } finally {
      // Whatever has failed: else its mounts keep the folder.
      await this.stopHyperd('SIGTERM');
      for (const pid of await this.vmPids()) process.kill(pid, 'SIGKILL');
      await run('ip', ['netns', 'delete', this.namespace]);
      await rm(this.directory, { recursive: true, force: true });
    }
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}\n${this.#log}`);
  }

  async #answers(): Promise<boolean> {
    try {
      (await this.api.open('GET', '/_ping')).resume();
      return true;
    } catch {
      return false;
    }
  }
}

/** TAPs that a daemon has ready for the next VMs; they go with it. */
const spareTaps = 2;
