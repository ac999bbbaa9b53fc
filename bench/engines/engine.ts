import { createReadStream } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { ApiClient } from '../../hyper-cli/api-client.ts';
import { run } from '../../hyperd/base/subprocess.ts';
import type { Enclosure } from './enclosure.ts';
import type { ProcessStat } from './processes.ts';

const readyDeadlineMs = 60_000;
const pollMs = 50;

interface EngineParts {
  readonly socket: string;
  readonly enclosure: Enclosure;
  /** Tells the daemon's own processes from those of containers; the index is that of `processes`. */
  readonly isDaemon: (process: ProcessStat, index: number) => boolean;
  /** Frees the enclosure and all that belongs to it. */
  readonly undo: AsyncDisposableStack;
  readonly signal: AbortSignal;
}

/** A daemon that answers the Docker Engine API, hyperd or dockerd, in an enclosure of its own. */
export class Engine implements AsyncDisposable {
  readonly socket: string;
  readonly api: ApiClient;
  readonly #parts: EngineParts;
  #loaded: readonly string[] = [];

  private constructor(parts: EngineParts) {
    this.socket = parts.socket;
    this.api = new ApiClient(`unix://${parts.socket}`);
    this.#parts = parts;
  }

  /** Resolves when the daemon answers; else everything is freed, and the end of its log is told. */
  static async open(parts: EngineParts): Promise<Engine> {
    const engine = new Engine(parts);
    const deadline = Date.now() + readyDeadlineMs;
    while (!(await engine.#answers())) {
      if (parts.enclosure.hasEnded || parts.signal.aborted || Date.now() > deadline) {
        const log = parts.enclosure.log.trim().split('\n').slice(-3).join(' ');
        await engine[Symbol.asyncDispose]();
        throw new Error(`does not start: ${log}`);
      }
      await delay(pollMs);
    }
    return engine;
  }

  /** Runs the docker CLI; returns its stdout. A command that fails must not count as a fast one. */
  docker(...args: readonly string[]): Promise<string> {
    return this.client('docker', args);
  }

  /** Runs any client program with its variables set to this daemon. */
  async client(command: string, args: readonly string[]): Promise<string> {
    const host = `unix://${this.socket}`;
    const env = { ...process.env, DOCKER_HOST: host, HYPER_HOST: host };
    const { stdout } = await run(command, args, { env, signal: this.#parts.signal });
    return stdout;
  }

  /** Runs a program of the host in the daemon's network namespace. */
  inNetwork(command: string, args: readonly string[]): Promise<string> {
    return this.#parts.enclosure.command(command, args);
  }

  /** Everything that runs for the daemon and its containers. */
  processes(): Promise<readonly ProcessStat[]> {
    return this.#parts.enclosure.processes();
  }

  /** What runs without any container too. */
  async daemonProcesses(): Promise<readonly ProcessStat[]> {
    return (await this.processes()).filter(this.#parts.isDaemon);
  }

  /** Loads an image archive, once. */
  async load(archive: string): Promise<void> {
    if (this.#loaded.includes(archive)) return;
    const upload = createReadStream(archive);
    const messages = this.api.lines<{ error?: string }>('POST', '/images/load', { upload });
    for await (const { error } of messages) if (error !== undefined) throw new Error(error);
    this.#loaded = [...this.#loaded, archive];
  }

  /** Removes all containers, running or not. */
  async removeContainers(): Promise<void> {
    const query = { all: true };
    const list = await this.api.json<readonly { Id: string }[]>('GET', '/containers/json', {
      query,
    });
    for (const { Id } of list) {
      const path = `/containers/${Id}`;
      await this.api.open('DELETE', path, { query: { force: true, v: true } });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.undo.disposeAsync();
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
