import { type Duplex, duplexPair } from 'node:stream';

import { type AgentClient, openAgentClient } from '../../hyperd/agent/agent-client.ts';
import type { SharedMemory } from '../../hyperd/base/shared-memory.ts';
import { encodeCredit, encodeFrame, FrameDecoder } from '../../hyperstart/protocol/frame-codec.ts';
import {
  type Frame,
  FrameType,
  preambleKeyBytes,
  preambleStart,
} from '../../hyperstart/protocol/frame.ts';
import type { AgentEvent, GuestHello, Request } from '../../hyperstart/protocol/message.ts';
import { parseHostMessage } from '../../hyperstart/protocol/parse-host-message.ts';
import { protocolVersion } from '../../hyperstart/protocol/version.ts';

const empty = new Uint8Array(0);

/** The guest's end of a control channel, which sends whatever a test wants, true to the protocol or not. */
export class ScriptedGuest {
  /** For openAgentClient. */
  readonly hostEnd: Duplex;
  readonly channel: Duplex;
  readonly frames: Frame[] = [];
  readonly events: AgentEvent[] = [];
  readonly #preamble = Promise.withResolvers<Uint8Array>();

  constructor() {
    [this.hostEnd, this.channel] = duplexPair();
    let decoder: FrameDecoder | null = null;
    this.channel.on('data', (bytes: Buffer) => {
      if (decoder === null) {
        const preamble = bytes.subarray(0, preambleStart.length + preambleKeyBytes);
        this.#preamble.resolve(preamble);
        decoder = new FrameDecoder(preamble);
      }
      this.frames.push(...decoder.push(bytes));
    });
    this.channel.on('error', () => undefined);
  }

  /** Opens the session with a hello. */
  greet(
    changes: Partial<GuestHello> = {},
    sharedMemory: SharedMemory | null = null,
  ): Promise<AgentClient> {
    return this.open(helloMessage(changes), sharedMemory);
  }

  /** Opens the session with any first message. */
  async open(first: unknown, sharedMemory: SharedMemory | null = null): Promise<AgentClient> {
    const { opened } = await this.connect(sharedMemory);
    this.message(first);
    return opened;
  }

  /** Opens the session without a message; `opened` is the host's end of it. */
  async connect(
    sharedMemory: SharedMemory | null = null,
  ): Promise<{ readonly opened: Promise<AgentClient> }> {
    const opened = openAgentClient(this.hostEnd, {
      sharedMemory,
      onEvent: (event) => this.events.push(event),
      signal: AbortSignal.timeout(5000),
    });
    this.channel.write(await this.#preamble.promise);
    return { opened };
  }

  message(value: unknown): void {
    this.send(FrameType.message, 0, Buffer.from(JSON.stringify(value)));
  }

  data(streamId: number, bytes: Uint8Array | string): void {
    this.send(FrameType.data, streamId, Buffer.from(bytes));
  }

  eof(streamId: number): void {
    this.send(FrameType.eof, streamId, empty);
  }

  credit(streamId: number, bytes: number): void {
    this.send(FrameType.credit, streamId, encodeCredit(bytes));
  }

  reset(streamId: number): void {
    this.send(FrameType.reset, streamId, empty);
  }

  send(type: FrameType, streamId: number, payload: Uint8Array): void {
    this.channel.write(encodeFrame({ type, streamId, payload }));
  }

  /** Frames of a type that came for a stream. */
  received(type: FrameType, streamId: number): readonly Frame[] {
    return this.frames.filter((frame) => frame.type === type && frame.streamId === streamId);
  }

  /** How many bytes were acknowledged on a stream. */
  credited(streamId: number): number {
    return this.received(FrameType.credit, streamId).reduce(
      (sum, { payload }) => sum + Buffer.from(payload).readUInt32LE(),
      0,
    );
  }

  receivedBytes(streamId: number): Buffer {
    return Buffer.concat(this.received(FrameType.data, streamId).map((frame) => frame.payload));
  }

  requests(): readonly Request[] {
    return this.frames
      .filter((frame) => frame.type === FrameType.message)
      .map((frame) => parseHostMessage(Buffer.from(frame.payload).toString()))
      .filter((message) => message.type === 'request');
  }
}

/** Lets everything that is under way between the two ends happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export function helloMessage(changes: Partial<GuestHello> = {}): GuestHello {
  return {
    type: 'hello',
    protocolVersion,
    kernelRelease: '6.12',
    bootTimeline: { kernel: 1 },
    memoryTotalKiB: 1,
    memoryFreeKiB: 1,
    processes: [],
    ...changes,
  };
}
