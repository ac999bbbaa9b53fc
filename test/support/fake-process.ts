import { PassThrough, Readable } from 'node:stream';

import type { OutputChunk } from '../../hyperd/pod/container-service.ts';

/** A process that runs one of a few built-in programs; what it prints is kept for later readers. */
export class FakeProcess {
  readonly history: OutputChunk[] = [];
  readonly input = new PassThrough();
  readonly exited: Promise<number>;
  exitCode: number | null = null;
  startError: string | null = null;
  readonly #exit: (code: number) => void;
  readonly #readers = new Set<Readable>();

  constructor() {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.exited = promise;
    this.#exit = resolve;
  }

  run(command: readonly string[]): void {
    const [name = '', ...args] = command;
    const program = programs[name.replace(/^.*\//, '')];
    if (program === undefined) {
      this.startError = `exec: "${name}": executable file not found in $PATH`;
      this.#finish(127);
      return;
    }
    program(this, args);
  }

  /** Output from now on, with `replay` after what was printed so far; ends with the process. */
  subscribe(replay: boolean): Readable {
    const reader = new Readable({ objectMode: true, read: () => undefined });
    if (replay) {
      this.history.forEach((chunk) => reader.push(chunk));
    }
    if (this.exitCode !== null) {
      reader.push(null);
      return reader;
    }
    this.#readers.add(reader);
    reader.once('close', () => this.#readers.delete(reader));
    return reader;
  }

  print(text: string | Uint8Array, stream: OutputChunk['stream'] = 'stdout'): void {
    const chunk = { stream, bytes: Buffer.from(text) };
    this.history.push(chunk);
    this.#readers.forEach((reader) => reader.push(chunk));
  }

  kill(signal: number): void {
    this.#finish(128 + signal);
  }

  finish(code: number): void {
    this.#finish(code);
  }

  #finish(code: number): void {
    if (this.exitCode !== null) {
      return;
    }
    this.exitCode = code;
    this.#readers.forEach((reader) => reader.push(null));
    this.#exit(code);
  }
}

type Program = (process: FakeProcess, args: readonly string[]) => void;

const programs: Readonly<Record<string, Program>> = {
  true: (process) => {
    process.finish(0);
  },
  false: (process) => {
    process.finish(1);
  },
  echo: (process, args) => {
    process.print(`${args.join(' ')}\n`);
    process.finish(0);
  },
  /** One word to stdout, the next to stderr, and so on. */
  both: (process, args) => {
    args.forEach((word, index) => {
      process.print(`${word}\n`, index % 2 === 0 ? 'stdout' : 'stderr');
    });
    process.finish(3);
  },
  cat: (process) => {
    process.input.on('data', (bytes: Buffer) => {
      process.print(bytes);
    });
    process.input.once('end', () => {
      process.finish(0);
    });
  },
  /** Echoes lines; `exit` ends it. */
  sh: (process) => {
    process.print('/ # ');
    process.input.on('data', (bytes: Buffer) => {
      process.print(bytes);
      if (bytes.includes('exit')) {
        process.finish(0);
      }
    });
    process.input.once('end', () => {
      process.finish(0);
    });
  },
  sleep: (process, [seconds = '0']) => {
    const timer = setTimeout(
      () => {
        process.finish(0);
      },
      Number(seconds) * 1000,
    );
    void process.exited.then(() => {
      clearTimeout(timer);
    });
  },
  /** Prints a line every 200 ms until it is killed. */
  tick: (process) => {
    const timer = setInterval(() => {
      process.print('tick\n');
    }, 200);
    void process.exited.then(() => {
      clearInterval(timer);
    });
  },
};
