import type { Duplex, Readable, Writable } from 'node:stream';

import {
  decodeCredit,
  encodeCredit,
  encodeFrame,
  FrameDecoder,
  FrameError,
} from '../../hyperstart/protocol/frame-codec.ts';
import { type Frame, FrameType, preamble } from '../../hyperstart/protocol/frame.ts';
import type {
  AgentEvent,
  GuestHello,
  GuestMessage,
  HostMessage,
  MethodName,
  Methods,
} from '../../hyperstart/protocol/message.ts';
import { parseGuestMessage, parseResult } from '../../hyperstart/protocol/parse.ts';
import { protocolVersion } from '../../hyperstart/protocol/version.ts';
import { unlessAborted } from '../base/deadline.ts';
import { HyperError, messageOf } from '../base/error.ts';
import { AgentError } from './agent-error.ts';
import { GuestInput } from './guest-input.ts';
import { GuestOutput } from './guest-output.ts';

export interface AgentClientOptions {
  readonly onEvent: (event: AgentEvent) => void;
  /** Aborts the handshake, not the session. */
  readonly signal: AbortSignal;
}

interface PendingRequest {
  readonly method: MethodName;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

const empty = new Uint8Array(0);

/**
 * Opens a session with the agent at the other end of a control channel: preambles, hellos, exact version.
 * The guest is hostile: whatever breaks the protocol ends the session with the reason.
 */
export async function openAgentClient(
  channel: Duplex,
  options: AgentClientOptions,
): Promise<AgentClient> {
  const client = new AgentClient(channel, options.onEvent);
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
  readonly #decoder = new FrameDecoder();
  readonly #requests = new Map<number, PendingRequest>();
  readonly #outputs = new Map<number, GuestOutput>();
  readonly #inputs = new Map<number, GuestInput>();
  readonly #greet = Promise.withResolvers<GuestHello>();
  readonly #close = Promise.withResolvers<string>();
  #hello: GuestHello | null = null;
  #nextRequestId = 1;
  #nextStreamId = 1;
  #reason = 'the control channel was closed';

  constructor(channel: Duplex, onEvent: (event: AgentEvent) => void) {
    this.#channel = channel;
    this.#onEvent = onEvent;
    this.greeted = this.#greet.promise;
    this.greeted.catch(() => undefined);
    this.closed = this.#close.promise;
    channel.on('data', (bytes: Buffer) => {
      this.#receive(bytes);
    });
    channel.on('error', (error) => {
      this.#reason = error.message;
    });
    channel.once('end', () => channel.destroy());
    channel.once('close', () => {
      this.#end();
    });
    channel.write(preamble);
    this.#sendMessage({ type: 'hello', protocolVersion });
  }

  get hello(): GuestHello {
    if (this.#hello === null) throw new Error('the agent has not said hello yet');
    return this.#hello;
  }

  async request<M extends MethodName>(
    method: M,
    params: Methods[M]['params'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['result']> {
    signal?.throwIfAborted();
    if (this.#channel.destroyed) throw this.#goneError(method);
    const id = this.#nextRequestId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#requests.set(id, { method, resolve, reject });
    });
    this.#sendMessage({ type: 'request', id, method, params });
    try {
      return parseResult(
        method,
        await (signal === undefined ? answer : unlessAborted(answer, signal)),
      );
    } catch (thrown) {
      if (signal?.aborted === true) this.#sendMessage({ type: 'cancel', id });
      throw thrown;
    } finally {
      this.#requests.delete(id);
      answer.catch(() => undefined);
    }
  }

  /** A stream id that no other stream of this VM has; data that comes for it waits for openReadable. */
  allocateStreamId(): number {
    return this.#nextStreamId++;
  }

  openReadable(streamId: number): Readable {
    return this.#output(streamId);
  }

  openWritable(streamId: number): Writable {
    const input = new GuestInput(streamId, {
      data: (id, bytes) => {
        this.#send({ type: FrameType.data, streamId: id, payload: bytes });
      },
      eof: (id) => {
        this.#send({ type: FrameType.eof, streamId: id, payload: empty });
      },
    });
    this.#inputs.set(streamId, input);
    input.once('close', () => this.#inputs.delete(streamId));
    if (this.#channel.destroyed) input.receiveReset();
    return input;
  }

  /** Ends the session; the VM and its processes go on. */
  close(): void {
    this.#channel.destroy();
  }

  #output(streamId: number): GuestOutput {
    let output = this.#outputs.get(streamId);
    if (output === undefined) {
      output = new GuestOutput(streamId, {
        credit: (id, bytes) => {
          this.#send({ type: FrameType.credit, streamId: id, payload: encodeCredit(bytes) });
        },
        reset: (id) => {
          this.#send({ type: FrameType.reset, streamId: id, payload: empty });
        },
      });
      this.#outputs.set(streamId, output);
      if (this.#channel.destroyed) output.destroy(new HyperError('UNAVAILABLE', this.#reason));
    }
    return output;
  }

  #receive(bytes: Uint8Array): void {
    try {
      for (const frame of this.#decoder.push(bytes)) this.#receiveFrame(frame);
    } catch (thrown) {
      this.#reason = messageOf(thrown);
      this.#channel.destroy();
    }
  }

  #receiveFrame(frame: Frame): void {
    if (frame.type === FrameType.message) {
      this.#receiveMessage(parseGuestMessage(Buffer.from(frame.payload).toString('utf8')));
      return;
    }
    if (this.#hello === null) throw new FrameError('a stream frame came before the hello');
    const { streamId } = frame;
    switch (frame.type) {
      case FrameType.data:
        if (this.#isKnown(streamId)) this.#output(streamId).receive(frame.payload);
        else this.#send({ type: FrameType.reset, streamId, payload: empty });
        return;
      case FrameType.eof:
        if (this.#isKnown(streamId)) this.#output(streamId).receiveEnd();
        return;
      case FrameType.credit:
        this.#inputs.get(streamId)?.receiveCredit(decodeCredit(frame.payload));
        return;
      case FrameType.reset:
        this.#inputs.get(streamId)?.receiveReset();
        return;
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
        this.#hello = message;
        this.#nextStreamId = 1 + highestStreamId(message);
        this.#greet.resolve(message);
        return;
      case 'response':
        this.#requests.get(message.id)?.resolve(message.result);
        return;
      case 'error':
        this.#requests.get(message.id)?.reject(new AgentError(message.code, message.message));
        return;
      case 'event':
        this.#onEvent(message);
        return;
    }
  }

  /** Streams that we made, or that the guest told of in its hello. */
  #isKnown(streamId: number): boolean {
    return streamId < this.#nextStreamId;
  }

  #sendMessage(message: HostMessage): void {
    const payload = Buffer.from(JSON.stringify(message));
    this.#send({ type: FrameType.message, streamId: 0, payload });
  }

  #send(frame: Frame): void {
    if (!this.#channel.destroyed) this.#channel.write(encodeFrame(frame));
  }

  #end(): void {
    const error = new HyperError('UNAVAILABLE', `agent: the session ended: ${this.#reason}`);
    this.#greet.reject(error);
    for (const { method, reject } of this.#requests.values()) reject(this.#goneError(method));
    for (const output of this.#outputs.values()) {
      if (!output.readableEnded) output.destroy(error);
    }
    for (const input of this.#inputs.values()) input.receiveReset();
    this.#close.resolve(this.#reason);
  }

  #goneError(method: MethodName): HyperError {
    return new HyperError('UNAVAILABLE', `agent: ${method}: the session is over: ${this.#reason}`);
  }
}

function highestStreamId(hello: GuestHello): number {
  const ids = hello.processes.flatMap(({ streams }) => [
    streams.stdin,
    streams.stdout,
    streams.stderr,
  ]);
  return Math.max(0, ...ids.map((id) => id ?? 0));
}
