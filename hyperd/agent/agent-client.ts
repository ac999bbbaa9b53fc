import { randomBytes } from 'node:crypto';
import type { Duplex, Readable, Writable } from 'node:stream';

import {
  decodeCredit,
  encodeCredit,
  encodeFrame,
  FrameDecoder,
  FrameError,
} from '../../hyperstart/protocol/frame-codec.ts';
import {
  type Frame,
  FrameType,
  maxMessageBytes,
  preambleKeyBytes,
  preambleOf,
} from '../../hyperstart/protocol/frame.ts';
import type {
  AgentEvent,
  GuestHello,
  GuestMessage,
  HostMessage,
  MethodName,
  Methods,
} from '../../hyperstart/protocol/message.ts';
import { parseGuestMessage } from '../../hyperstart/protocol/parse-guest-message.ts';
import { protocolVersion } from '../../hyperstart/protocol/version.ts';
import { unlessAborted } from '../base/deadline.ts';
import { HyperError, messageOf } from '../base/error.ts';
import type { SharedMemory } from '../base/shared-memory.ts';
import { AgentError } from './agent-error.ts';
import { GuestOutput } from './guest-output.ts';
import { InputTable } from './input-table.ts';
import { KnownStreams } from './known-streams.ts';
import { PendingRequests, processOf } from './pending-requests.ts';
import { SharedStreams } from './shared-streams.ts';

export interface AgentClientOptions {
  readonly onEvent: (event: AgentEvent) => void;
  /** What the VM has in common with the host. */
  readonly sharedMemory?: SharedMemory | null;
  /** Aborts the handshake, not the session. */
  readonly signal: AbortSignal;
}

const empty = new Uint8Array(0);
/** Output that may wait for streams which nobody has opened yet, of all of a session together. */
const maxUnopenedBytes = 16 * 1024 * 1024;
/** A guest that lets more than this lie unread, answers to its own frames among it, is given up. */
const maxUnsentBytes = 16 * 1024 * 1024;

/**
 * Opens a session with the agent at the other end of a control channel: preambles, hellos, exact version.
 * The guest is hostile: whatever breaks the protocol ends the session with the reason.
 */
export async function openAgentClient(
  channel: Duplex,
  options: AgentClientOptions,
): Promise<AgentClient> {
  const client = new AgentClient(channel, options);
  try {
    const hello = await unlessAborted(client.greeted, options.signal);
    if (hello.protocolVersion !== protocolVersion) {
      const versions = `${String(hello.protocolVersion)}, hyperd ${String(protocolVersion)}`;
      throw new HyperError('UNAVAILABLE', `agent: it speaks protocol version ${versions}`);
    }
    return client;
  } catch (thrown) {
    client.close();
    throw thrown;
  }
}

/** A session with an agent. Streams are independent: one that nobody reads holds up only itself. */
export class AgentClient {
  /** Settles with why the session ended; never rejects. */
  readonly closed: Promise<string>;
  /** The guest's hello; rejects when the session ends before it. */
  readonly greeted: Promise<GuestHello>;
  readonly #channel: Duplex;
  readonly #onEvent: (event: AgentEvent) => void;
  readonly #decoder: FrameDecoder;
  readonly #requests = new PendingRequests();
  readonly #streams = new KnownStreams();
  readonly #shared: SharedStreams;
  readonly #outputs = new Map<number, GuestOutput>();
  /** Outputs of #outputs that came before their reader. */
  readonly #unopened = new Map<number, GuestOutput>();
  readonly #inputs: InputTable;
  readonly #greet = Promise.withResolvers<GuestHello>();
  readonly #close = Promise.withResolvers<string>();
  #hello: GuestHello | null = null;
  #reason: string | null = null;

  constructor(channel: Duplex, options: Omit<AgentClientOptions, 'signal'>) {
    this.#channel = channel;
    this.#onEvent = options.onEvent;
    this.#shared = new SharedStreams(options.sharedMemory ?? null);
    this.#inputs = new InputTable(
      {
        get isWritable() {
          return !channel.writableNeedDrain;
        },
        send: (frame) => {
          this.#send(frame);
        },
      },
      this.#shared,
    );
    this.greeted = this.#greet.promise;
    this.greeted.catch(() => undefined);
    this.closed = this.#close.promise;
    channel.on('data', (bytes: Buffer) => {
      this.#receive(bytes);
    });
    channel.on('drain', () => {
      this.#inputs.channelDrained();
    });
    channel.on('error', (error) => {
      this.#reason ??= error.message;
    });
    channel.once('end', () => channel.destroy());
    channel.once('close', () => {
      this.#end();
    });
    const preamble = preambleOf(randomBytes(preambleKeyBytes));
    this.#decoder = new FrameDecoder(preamble);
    channel.write(preamble);
    this.#sendMessage({ type: 'hello', protocolVersion, sharedMemory: this.#shared.isUsable });
  }

  get hello(): GuestHello {
    if (this.#hello === null) throw new Error('the agent has not said hello yet');
    return this.#hello;
  }

  /** Rejects with AgentError as the agent answers; an abort also cancels the request in the guest. */
  async request<M extends MethodName>(
    method: M,
    params: Methods[M]['params'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['result']> {
    signal?.throwIfAborted();
    if (this.#channel.destroyed) throw this.#goneError(method);
    const { id, answer } = this.#requests.open(method);
    const started = processOf(method, params);
    try {
      if (started !== null) this.#streams.started(started.ref, started.streams);
      this.#sendMessage({ type: 'request', id, method, params });
      const result = await (signal === undefined ? answer : unlessAborted(answer, signal));
      if (method === 'release') this.#endReleased(params as Methods['release']['params']);
      return result;
    } catch (thrown) {
      if (started !== null) this.#streams.failed(started.ref);
      if (signal?.aborted === true) this.#sendMessage({ type: 'cancel', id });
      throw thrown;
    } finally {
      this.#requests.forget(id);
    }
  }

  /** A stream id that no other stream of this VM has; data that comes for it waits for openReadable. */
  allocateStreamId(): number {
    return this.#streams.allocate();
  }

  /** The output of a stream, from what the guest has not had acknowledged on. Empty when it is over. */
  openReadable(streamId: number): Readable {
    const output = this.#output(streamId);
    this.#unopened.delete(streamId);
    return output;
  }

  /** The input of a stream. Its end, or its destruction, is end of file in the guest. */
  openWritable(streamId: number): Writable {
    const input = this.#inputs.open(streamId);
    if (this.#channel.destroyed) this.#inputs.reset(streamId);
    return input;
  }

  /** Ends the session; the VM and its processes go on. */
  close(): void {
    this.#fail('hyperd has closed the control channel');
  }

  #output(streamId: number): GuestOutput {
    const known = this.#outputs.get(streamId);
    if (known !== undefined) return known;
    const output = new GuestOutput(streamId, {
      credit: (id, bytes) => {
        this.#send({ type: FrameType.credit, streamId: id, payload: encodeCredit(bytes) });
      },
      reset: (id) => {
        this.#send({ type: FrameType.reset, streamId: id, payload: empty });
      },
    });
    if (!this.#streams.has(streamId)) {
      output.receiveEnd();
      return output;
    }
    this.#outputs.set(streamId, output);
    this.#unopened.set(streamId, output);
    output.once('close', () => {
      this.#outputs.delete(streamId);
      this.#unopened.delete(streamId);
      this.#streams.delete(streamId);
    });
    if (this.#channel.destroyed) output.receiveFailure(this.#endError());
    return output;
  }

  /** The guest sends no end for streams that it was told to forget. */
  #endReleased(ref: Methods['release']['params']): void {
    for (const id of this.#streams.released(ref)) {
      this.#outputs.get(id)?.receiveEnd();
      this.#inputs.reset(id);
    }
  }

  #receive(bytes: Uint8Array): void {
    try {
      for (const frame of this.#decoder.push(bytes)) {
        if (this.#channel.destroyed) return;
        this.#receiveFrame(frame);
      }
    } catch (thrown) {
      this.#fail(messageOf(thrown));
    }
  }

  #receiveFrame(frame: Frame): void {
    const { type, streamId, payload } = frame;
    if (type === FrameType.message) {
      this.#receiveMessage(parseGuestMessage(Buffer.from(payload).toString('utf8')));
      return;
    }
    if (this.#hello === null) throw new FrameError('a stream frame came before the hello');
    switch (type) {
      case FrameType.data:
      case FrameType.shared:
        if (this.#streams.has(streamId)) {
          const isShared = type === FrameType.shared;
          this.#receiveData(streamId, isShared ? this.#shared.take(payload) : payload);
        } else this.#send({ type: FrameType.reset, streamId, payload: empty });
        return;
      case FrameType.eof:
        if (this.#streams.has(streamId)) this.#output(streamId).receiveEnd();
        return;
      case FrameType.credit:
        this.#inputs.receiveCredit(streamId, decodeCredit(payload));
        return;
      case FrameType.reset:
        this.#inputs.reset(streamId);
        return;
    }
  }

  #receiveData(streamId: number, payload: Uint8Array): void {
    this.#output(streamId).receive(payload);
    if (!this.#unopened.has(streamId)) return;
    let unopenedBytes = 0;
    for (const output of this.#unopened.values()) unopenedBytes += output.waitingBytes;
    if (unopenedBytes > maxUnopenedBytes) {
      throw new FrameError('too much output for streams that nobody has opened');
    }
  }

  #receiveMessage(message: GuestMessage): void {
    if ((this.#hello === null) !== (message.type === 'hello')) {
      throw new FrameError(
        `a ${message.type} message ${this.#hello === null ? 'before' : 'after'} the hello`,
      );
    }
    switch (message.type) {
      case 'hello':
        this.#streams.adopt(message);
        this.#hello = message;
        this.#greet.resolve(message);
        return;
      case 'response':
        this.#requests.answer(message.id, message.result);
        return;
      case 'error':
        this.#requests.refuse(message.id, new AgentError(message.code, message.message));
        return;
      case 'event':
        if (message.event === 'exit') this.#streams.exited(message);
        this.#onEvent(message);
        return;
    }
  }

  #sendMessage(message: HostMessage): void {
    const payload = Buffer.from(JSON.stringify(message));
    if (payload.length > maxMessageBytes) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        `agent: the request takes ${String(payload.length)} bytes, ${String(maxMessageBytes)} at most`,
      );
    }
    this.#send({ type: FrameType.message, streamId: 0, payload });
  }

  #send(frame: Frame): void {
    if (this.#channel.destroyed) return;
    this.#channel.write(encodeFrame(frame));
    if (this.#channel.writableLength > maxUnsentBytes) {
      this.#fail('the guest does not read from the control channel');
    }
  }

  #fail(reason: string): void {
    this.#reason ??= reason;
    this.#channel.destroy();
  }

  #end(): void {
    const error = this.#endError();
    this.#greet.reject(error);
    this.#requests.fail((method) => this.#goneError(method));
    for (const output of this.#outputs.values()) output.receiveFailure(error);
    this.#inputs.resetAll();
    this.#close.resolve(this.#endReason);
  }

  get #endReason(): string {
    return this.#reason ?? 'the guest has closed the control channel';
  }

  #endError(): HyperError {
    return new HyperError('UNAVAILABLE', `agent: the session ended: ${this.#endReason}`);
  }

  #goneError(method: MethodName): HyperError {
    return new HyperError(
      'UNAVAILABLE',
      `agent: ${method}: the session is over: ${this.#endReason}`,
    );
  }
}
