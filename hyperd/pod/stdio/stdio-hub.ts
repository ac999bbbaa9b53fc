import type { Readable, Writable } from 'node:stream';

import { giveBack } from '../../base/give-back.ts';
import type { LogStream } from '../../log/container-log.ts';
import { nowUnixNanos } from '../clock.ts';
import type { OutputChunk } from '../container-service.ts';
import { parseDetachKeys } from '../detach-keys.ts';
import { AttachSession } from './attach-session.ts';
import { ProcessStdin } from './process-stdin.ts';
import { createSessionInput } from './session-input.ts';

export interface StdioHubOptions {
  readonly tty: boolean;
  readonly openStdin: boolean;
  /** The process's stdin ends with that of the first session. */
  readonly stdinOnce: boolean;
  readonly onDetach: () => void;
}

export interface HubAttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly detachKeys: string;
}

/** A process's ends of the streams. */
export interface ProcessStreams {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
}

/**
 * Takes output besides the attached clients, and needs its bytes no more when it resolves; a failure is its own
 * affair.
 */
export type OutputRecorder = (chunk: OutputChunk, unixNanos: bigint) => Promise<void>;

/**
 * Joins a process's stdio with everybody who takes part in it. Each stream is read once; a chunk goes
 * to the recorder and all sessions, and the next one is read when all of them have taken it. Sessions
 * may come before the process and outlive its output.
 */
export class StdioHub {
  readonly #options: StdioHubOptions;
  readonly #sessions = new Set<AttachSession>();
  readonly #stdin = new ProcessStdin();

  constructor(options: StdioHubOptions) {
    this.#options = options;
  }

  get tty(): boolean {
    return this.#options.tty;
  }

  attach(options: HubAttachOptions): AttachSession {
    const { tty, openStdin, stdinOnce, onDetach } = this.#options;
    const keys = parseDetachKeys(options.detachKeys);
    const { stdout, stderr } = options;
    const session = new AttachSession({
      ...{ tty, stdout, stderr },
      onClose: (closed) => {
        this.#sessions.delete(closed);
      },
    });
    if (options.stdin && openStdin) {
      session.stdin = createSessionInput({
        session,
        stdin: this.#stdin,
        detachKeys: tty ? keys : null,
        endsStdin: stdinOnce && !tty,
      });
    }
    void session.detached.then(onDetach);
    this.#sessions.add(session);
    return session;
  }

  /** Joins a process. Resolves when all its output was read, taken, or cut off. */
  async run(streams: ProcessStreams, record: OutputRecorder): Promise<void> {
    this.#stdin.open(streams.stdin);
    await Promise.all([
      this.#pump('stdout', streams.stdout, record),
      this.#pump('stderr', streams.stderr, record),
    ]);
  }

  /** No client holds the process back from now on: it is to end, or has ended. */
  relax(): void {
    for (const session of this.#sessions) session.relax();
  }

  /** The process has ended: so do its sessions, each after what it was still owed. */
  end(): void {
    this.#stdin.reset();
    for (const session of [...this.#sessions]) session.close();
  }

  async #pump(stream: LogStream, readable: Readable | null, record: OutputRecorder): Promise<void> {
    if (readable === null) return;
    try {
      for await (const bytes of readable as AsyncIterable<Uint8Array>) {
        // Who attaches from here on gets this chunk from the log, not from us.
        const sessions = [...this.#sessions];
        let holders = sessions.length + 1;
        const release = (): void => {
          holders -= 1;
          if (holders === 0) giveBack(bytes);
        };
        const chunk = { stream, bytes, release };
        await record(chunk, nowUnixNanos());
        release();
        await Promise.all(sessions.map((session) => session.offer(chunk)));
      }
    } catch {
      // The connection is gone; what the process's end means is told elsewhere.
    }
  }
}
