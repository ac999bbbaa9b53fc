import type { Socket } from 'node:net';

import { withDeadline } from '../../base/deadline.ts';
import { HyperError } from '../../base/error.ts';

/** An asynchronous message of QEMU (QMP specification, "Asynchronous events"). */
export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const maxLineBytes = 1024 * 1024;
/** QEMU answers at once, except when its process is stopped or starved. */
const answerMs = 30_000;

/**
 * QEMU Machine Protocol over a connected socket. Answers are matched by id, whatever their order;
 * when the socket closes every pending command rejects UNAVAILABLE. A peer that does not speak the
 * protocol is hung up on.
 */
export class QmpClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (event: QmpEvent) => void;
  readonly closed: Promise<undefined>;
  #nextId = 1;
  #received = '';

  private constructor(socket: Socket, onEvent: (event: QmpEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.closed = promise;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#receive(text);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#rejectAll();
      resolve(undefined);
    });
  }

  /** Negotiates capabilities; QEMU sends its greeting first, and takes commands only afterwards. */
  static async open(socket: Socket, onEvent: (event: QmpEvent) => void): Promise<QmpClient> {
    const client = new QmpClient(socket, onEvent);
    await client.execute('qmp_capabilities');
    return client;
  }

  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#socket.destroyed) return Promise.reject(this.#goneError(command));
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => {
      this.#pending.set(id, { command, resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
    return withDeadline(answer, answerMs, `QEMU: ${command}`).finally(() => {
      this.#pending.delete(id);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    if (this.#received.length > maxLineBytes) {
      this.#socket.destroy();
      return;
    }
    const lines = this.#received.split('\n');
    this.#received = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.#receiveLine(line);
  }

  #receiveLine(line: string): void {
    const message = parseLine(line);
    if (message === null) {
      this.#socket.destroy();
      return;
    }
    if (typeof message['event'] === 'string') {
      this.#onEvent({ event: message['event'], data: asRecord(message['data']) ?? {} });
      return;
    }
    const id = message['id'];
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    if (pending === undefined || typeof id !== 'number') return;
    this.#pending.delete(id);
    const error = asRecord(message['error']);
    if (error === null) {
      pending.resolve(message['return']);
    } else {
      const text = `QEMU: ${pending.command}: ${String(error['desc'])}`;
      pending.reject(new HyperError('INTERNAL', text));
    }
  }

  #rejectAll(): void {
    for (const { command, reject } of this.#pending.values()) reject(this.#goneError(command));
    this.#pending.clear();
  }

  #goneError(command: string): HyperError {
    return new HyperError(
      'UNAVAILABLE',
      `QEMU: ${command}: the VM's process has closed its monitor`,
    );
  }
}

function parseLine(line: string): Record<string, unknown> | null {
  try {
    return asRecord(JSON.parse(line));
  } catch {
    return null;
  }
}

function asRecord(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
