import type {
  ExecParams,
  MethodName,
  Methods,
  ProcessRef,
  StartParams,
  StdioStreams,
} from '../../hyperstart/protocol/message.ts';
import { parseResult } from '../../hyperstart/protocol/parse-guest-message.ts';

interface PendingRequest {
  readonly method: MethodName;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Requests that the agent has not answered. Answers to anything else are ignored. */
export class PendingRequests {
  readonly #requests = new Map<number, PendingRequest>();
  #nextId = 1;

  /** The answer resolves with a checked result. It may stay unobserved. */
  open<M extends MethodName>(
    method: M,
  ): { readonly id: number; readonly answer: Promise<Methods[M]['result']> } {
    const id = this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#requests.set(id, { method, resolve, reject });
    }).then((result) => parseResult(method, result));
    answer.catch(() => undefined);
    return { id, answer };
  }

  answer(id: number, result: unknown): void {
    this.#requests.get(id)?.resolve(result);
  }

  refuse(id: number, error: Error): void {
    this.#requests.get(id)?.reject(error);
  }

  forget(id: number): void {
    this.#requests.delete(id);
  }

  /** Rejects all that wait. */
  fail(errorOf: (method: MethodName) => Error): void {
    for (const { method, reject } of this.#requests.values()) reject(errorOf(method));
    this.#requests.clear();
  }
}

/** The process that a request starts, with its streams; null for other requests. */
export function processOf(
  method: MethodName,
  params: unknown,
): { readonly ref: ProcessRef; readonly streams: StdioStreams } | null {
  if (method === 'start') {
    const { container } = params as StartParams;
    const ref = { containerId: container.id, execId: null };
    return { ref, streams: container.process.streams };
  }
  if (method === 'exec') {
    const { containerId, execId, process } = params as ExecParams;
    return { ref: { containerId, execId }, streams: process.streams };
  }
  return null;
}
