import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Duplex } from 'node:stream';

import { spawnProcess } from '../../hyperd/base/subprocess.ts';
import { buildInit } from '../../hyperstart/build.ts';
import { encodeFrame, FrameDecoder } from '../../hyperstart/protocol/frame-codec.ts';
import { type Frame, FrameType } from '../../hyperstart/protocol/frame.ts';
import { cacheDirectory } from '../../setup/paths.ts';
import { preamble } from './golden-frames.ts';

const port = 3;
/** Descriptors of the pump's process that a test may make streams of. */
export const streamDescriptors = [4, 5, 6] as const;

/** Compiles pump-program.js with the C module, once for each version of them; returns the binary. */
export async function buildPump(): Promise<string> {
  const program = path.join(import.meta.dirname, 'pump-program.js');
  const { initrdPath } = await buildInit({ cacheDirectory, onProgress: () => undefined, program });
  return path.join(path.dirname(initrdPath), 'init');
}

/** The C frame pump in a process of this host, with the host's end of its port. Dispose ends it. */
export class PumpProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  readonly #frames: Frame[] = [];
  #decoder = new FrameDecoder(preamble);
  #raw = '';
  #console = '';
  #wake: () => void = () => undefined;

  constructor(binary: string) {
    const pipes = [port, ...streamDescriptors].map(() => 'pipe' as const);
    this.#child = spawnProcess(binary, [], { stdio: ['ignore', 'ignore', 'pipe', ...pipes] });
    this.#exited = once(this.#child, 'exit');
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#console += text;
    });
    // A pump that ends or closes with bytes unread resets the connection; tests judge by what they got.
    for (const fd of [port, ...streamDescriptors]) {
      this.descriptor(fd).on('error', () => undefined);
    }
    this.#port.on('data', (bytes: Buffer) => {
      this.#raw += bytes.toString('hex');
      this.#frames.push(...this.#decoder.push(bytes));
      this.#wake();
    });
  }

  get #port(): Duplex {
    return this.descriptor(port);
  }

  /** Our end of one of its descriptors. */
  descriptor(fd: number): Duplex {
    return this.#child.stdio[fd] as Duplex;
  }

  /** What it has written so far, as it came. */
  get rawHex(): string {
    return this.#raw;
  }

  write(bytes: Uint8Array): void {
    this.#port.write(bytes);
  }

  send(frame: Frame): void {
    this.write(encodeFrame(frame));
  }

  message(value: object): void {
    this.send({ type: FrameType.message, streamId: 0, payload: encodeJson(value) });
  }

  credit(streamId: number, count: number): void {
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, count, true);
    this.send({ type: FrameType.credit, streamId, payload });
  }

  /** The next bytes are those of a new session. */
  restartDecoder(): void {
    this.#decoder = new FrameDecoder(preamble);
    this.#frames.length = 0;
  }

  /**
   * A new session as a new hyperd would start it; returns what the pump tells of the time before. `share` is
   * a file for shared memory.
   */
  async connect(share = ''): Promise<readonly string[]> {
    this.restartDecoder();
    this.write(preamble);
    this.message({ type: 'hello', share });
    const { happened } = (await this.nextMessage()) as { happened: readonly string[] };
    return happened;
  }

  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async nextMessage(): Promise<unknown> {
    const frame = await this.next();
    if (frame.type !== FrameType.message) throw new Error(`frame type ${String(frame.type)}`);
    return JSON.parse(new TextDecoder().decode(frame.payload));
  }

  /** Sends a command and returns its answer, the next frame. */
  async ask(command: object): Promise<unknown> {
    this.message(command);
    return await this.nextMessage();
  }

  /** Its exit code and console output, when it has ended by itself. */
  async end(): Promise<{ code: unknown; console: string }> {
    const [code] = await this.#exited;
    return { code, console: this.#console };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
    for (const fd of [port, ...streamDescriptors]) this.descriptor(fd).destroy();
  }
}

function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
