import { Cancellation } from './cancellation.ts';
import { guard } from './guard.ts';
import { maxMessageBytes } from './protocol/frame.ts';
import type {
  AgentEvent,
  ErrorResponse,
  GuestHello,
  GuestMessage,
  HostHello,
  MethodName,
  Methods,
  Request,
  Response,
} from './protocol/message.ts';
import { parseHostMessage } from './protocol/parse-host-message.ts';
import { protocolVersion } from './protocol/version.ts';
import { messageOf, RequestError } from './request-error.ts';
import type { Channel, ChannelHandlers, Sys } from './sys/sys.ts';
import { SysError } from './sys/sys.ts';

export type MethodHandler<M extends MethodName> = (
  params: Methods[M]['params'],
  cancellation: Cancellation,
) => Methods[M]['result'] | Promise<Methods[M]['result']>;
export type MethodHandlers = { readonly [M in MethodName]: MethodHandler<M> };

/** The part of the channel that the server itself needs. */
export type MessageChannel = Pick<Channel, 'accept' | 'send'>;

export interface ServerOptions {
  readonly sys: Sys;
  readonly methods: MethodHandlers;
  readonly hello: () => GuestHello;
  readonly onStreamDrained: (streamId: number) => void;
  /** Called when the host is gone. */
  readonly onDisconnect: () => void;
}

/**
 * Answers one host at a time: handshake, requests, cancellation. Whatever a handler throws becomes
 * an answer. A new session starts from nothing: requests of the one before are cancelled.
 */
export class AgentServer {
  readonly #options: ServerOptions;
  #channel: MessageChannel | null = null;
  #session: Map<number, Cancellation> | null = null;
  #isRefused = false;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Event handlers for Sys.openChannel. */
  get handlers(): ChannelHandlers {
    const { sys } = this.#options;
    return {
      onSession: guard(sys, 'a new session', () => {
        this.#endSession();
        this.#isRefused = false;
      }),
      onMessage: guard(sys, 'a message', (text) => {
        this.#receive(text);
      }),
      onDisconnect: guard(sys, 'a disconnect', () => {
        this.#endSession();
        this.#options.onDisconnect();
      }),
      onStreamDrained: guard(sys, 'the end of a stream', this.#options.onStreamDrained),
      onProtocolError: guard(sys, 'a protocol error', (reason) => {
        sys.log(`hyperstart: the host broke the protocol: ${reason}`);
        this.#endSession();
      }),
    };
  }

  attach(channel: MessageChannel): void {
    this.#channel = channel;
  }

  /** Sends an event; without a session it is dropped, as the next hello tells the state. */
  publish(event: AgentEvent): void {
    if (this.#session !== null) this.#send(event);
  }

  #endSession(): void {
    const requests = this.#session;
    this.#session = null;
    for (const cancellation of requests?.values() ?? []) cancellation.cancel();
  }

  #receive(text: string): void {
    let message;
    try {
      message = parseHostMessage(text);
    } catch (error) {
      this.#answerUnreadable(text, messageOf(error));
      return;
    }
    if (message.type === 'hello') {
      this.#handshake(message);
    } else if (message.type === 'cancel') {
      this.#session?.get(message.id)?.cancel();
    } else {
      void this.#answer(message);
    }
  }

  /** The host learns our version from the hello also when it speaks another one, and nothing more. */
  #handshake({ protocolVersion: hostVersion, sharedMemory }: HostHello): void {
    if (this.#session !== null) {
      this.#options.sys.log('hyperstart: the host said hello twice');
      return;
    }
    const hello = this.#options.hello();
    if (hostVersion === protocolVersion) {
      this.#session = new Map();
    } else {
      this.#isRefused = true;
      this.#options.sys.log(
        `hyperstart: the host speaks protocol ${String(hostVersion)}, this is ${String(protocolVersion)}`,
      );
    }
    this.#channel?.accept(JSON.stringify(hello), sharedMemory);
  }

  async #answer(request: Request): Promise<void> {
    const session = this.#session;
    if (session === null) {
      if (this.#isRefused) this.#send(errorResponse(request.id, versionMismatch()));
      return;
    }
    if (session.has(request.id)) {
      this.#options.sys.log(`hyperstart: request id ${String(request.id)} is in use`);
      return;
    }
    const cancellation = new Cancellation();
    session.set(request.id, cancellation);
    let answer: Response | ErrorResponse;
    try {
      const result = await this.#call(request, cancellation);
      answer = { type: 'response', id: request.id, result };
    } catch (error) {
      answer = this.#failure(request, error);
    }
    session.delete(request.id);
    if (this.#session === session) this.#sendAnswer(answer);
  }

  async #call<M extends MethodName>(
    { method, params }: Request<M>,
    cancellation: Cancellation,
  ): Promise<Methods[M]['result']> {
    return this.#options.methods[method](params, cancellation);
  }

  #failure(request: Request, error: unknown): ErrorResponse {
    if (error instanceof RequestError) return errorResponse(request.id, error);
    if (!(error instanceof SysError)) {
      const stack = error instanceof Error ? (error.stack ?? '') : '';
      this.#options.sys.log(
        `hyperstart: ${request.method} failed unexpectedly: ${messageOf(error)}\n${stack}`,
      );
    }
    return errorResponse(
      request.id,
      new RequestError('INTERNAL', `${request.method}: ${messageOf(error)}`),
    );
  }

  /** A message that no parser understands still gets its answer when its id can be made out. */
  #answerUnreadable(text: string, reason: string): void {
    this.#options.sys.log(`hyperstart: unreadable message from the host: ${reason}`);
    let id: unknown;
    try {
      const value: unknown = JSON.parse(text);
      id = typeof value === 'object' && value !== null && 'id' in value ? value.id : undefined;
    } catch {
      return;
    }
    if (this.#session === null || typeof id !== 'number' || this.#session.has(id)) return;
    this.#send(errorResponse(id, new RequestError('INVALID_ARGUMENT', reason)));
  }

  /** The pump sends no message that the host would refuse for its size. */
  #sendAnswer(answer: Response | ErrorResponse): void {
    const text = JSON.stringify(answer);
    if (utf8Length(text) <= maxMessageBytes) this.#channel?.send(text);
    else
      this.#send(errorResponse(answer.id, new RequestError('INTERNAL', 'the answer is too long')));
  }

  #send(message: GuestMessage): void {
    this.#channel?.send(JSON.stringify(message));
  }
}

function errorResponse(id: number, { code, message }: RequestError): ErrorResponse {
  return { type: 'error', id, code, message };
}

function versionMismatch(): RequestError {
  return new RequestError('INVALID_STATE', `this agent speaks protocol ${String(protocolVersion)}`);
}

/** Bytes of a text in UTF-8 (QuickJS has no TextEncoder). */
function utf8Length(text: string): number {
  let length = text.length;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    // Three bytes instead of one unit, or four instead of the two of a surrogate pair.
    if (code > 0x7ff) length += 2;
    else if (code > 0x7f) length += 1;
  }
  return length;
}
