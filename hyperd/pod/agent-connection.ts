import type { Duplex, Readable, Writable } from 'node:stream';

import type {
  AgentEvent,
  GuestHello,
  MethodName,
  Methods,
} from '../../hyperstart/protocol/message.ts';
import type { SharedMemory } from '../base/shared-memory.ts';

/** A session with the agent of a VM, as far as pods need it. */
export interface AgentConnection {
  readonly hello: GuestHello;
  /** Settles when the session is over; never rejects. */
  readonly closed: Promise<unknown>;
  request<M extends MethodName>(
    method: M,
    params: Methods[M]['params'],
    signal: AbortSignal,
  ): Promise<Methods[M]['result']>;
  /** A stream id that no other stream of this VM has. */
  allocateStreamId(): number;
  /** Bytes count as taken, and the guest may send more, when they were read from here. */
  openReadable(streamId: number): Readable;
  openWritable(streamId: number): Writable;
  /** Ends the session; the VM and its processes go on. */
  close(): void;
}

export interface AgentConnectOptions {
  readonly onEvent: (event: AgentEvent) => void;
  /** What the VM has in common with the host. */
  readonly sharedMemory?: SharedMemory | null;
  readonly signal: AbortSignal;
}

/** Opens the session on a control channel: resolves after the handshake. */
export type ConnectAgent = (
  channel: Duplex,
  options: AgentConnectOptions,
) => Promise<AgentConnection>;
