import { randomBytes } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import type { AgentClient } from '../../../../hyperd/agent/agent-client.ts';
import type { SharedMemory } from '../../../../hyperd/base/shared-memory.ts';
import { decodeCredit, encodePlace } from '../../../../hyperstart/protocol/frame-codec.ts';
import {
  FrameType,
  sharedHalfBytes,
  sharedStreams,
  streamWindowBytes,
} from '../../../../hyperstart/protocol/frame.ts';
import { ScriptedGuest, settle } from '../../../support/scripted-guest.ts';

const ordinary = Buffer.alloc(2 * sharedHalfBytes);

class Memory implements SharedMemory {
  readonly bytes = ordinary.length;

  read(offset: number, length: number): Buffer {
    return Buffer.from(ordinary.subarray(offset, offset + length));
  }

  write(offset: number, bytes: Uint8Array): void {
    ordinary.set(bytes, offset);
  }
}

let guest: ScriptedGuest;
let client: AgentClient;

beforeEach(async () => {
  ordinary.fill(0);
  guest = new ScriptedGuest();
  client = await guest.greet({}, new Memory());
});

/** What the guest finds where the frames of a stream say. */
function taken(streamId: number): Buffer {
  const parts = guest.received(FrameType.shared, streamId).map(({ payload }) => {
    const [offset, length] = [decodeCredit(payload), decodeCredit(payload.subarray(4))];
    expect(offset).toBeGreaterThanOrEqual(sharedHalfBytes);
    return Buffer.from(ordinary.subarray(offset, offset + length));
  });
  return Buffer.concat(parts);
}

describe('input by way of shared memory', () => {
  it('is offered to the guest', () => {
    const hello = Buffer.from(guest.frames[0]?.payload ?? []).toString();
    expect(JSON.parse(hello)).toMatchObject({ sharedMemory: true });
  });

  it('is put there when it is large, and over the channel when it is small', async () => {
    const input = client.openWritable(client.allocateStreamId());
    input.write('small');
    input.write(Buffer.alloc(5000, 'a'));
    await settle();
    expect(guest.receivedBytes(1).toString()).toBe('small');
    expect(taken(1).equals(Buffer.alloc(5000, 'a'))).toBe(true);
  });

  it('loses nothing where it goes round, and waits for the window', async () => {
    const bytes = randomBytes(3 * streamWindowBytes + 12_345);
    const input = client.openWritable(client.allocateStreamId());
    input.end(Buffer.from(bytes));
    const parts: Buffer[] = [];
    let seen = 0;
    for (let length = 0; length < bytes.length;) {
      await settle();
      const all = guest.received(FrameType.shared, 1).slice(seen);
      seen += all.length;
      const fresh = all.map(({ payload }) => {
        const [offset, count] = [decodeCredit(payload), decodeCredit(payload.subarray(4))];
        return Buffer.from(ordinary.subarray(offset, offset + count));
      });
      // What was too small for a place of its own.
      const rest = guest.receivedBytes(1);
      const got = fresh.reduce((sum, { length: count }) => sum + count, 0);
      parts.push(...fresh);
      length += got;
      if (got === 0) {
        parts.push(rest);
        length += rest.length;
      }
      expect(got).toBeLessThanOrEqual(streamWindowBytes);
      if (got > 0) guest.credit(1, got);
    }
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  });

  it('has a window for so many streams, again when one of them is through', async () => {
    const ids = Array.from({ length: sharedStreams + 1 }, () => client.allocateStreamId());
    const inputs = ids.map((id) => client.openWritable(id));
    for (const input of inputs) input.write(Buffer.alloc(5000, 'b'));
    await settle();
    expect(ids.map((id) => guest.received(FrameType.shared, id).length)).toEqual([
      ...Array.from({ length: sharedStreams }, () => 1),
      0,
    ]);
    inputs[0]?.end();
    await settle();
    const last = ids.at(-1) ?? 0;
    inputs.at(-1)?.write(Buffer.alloc(5000, 'c'));
    await settle();
    // The guest may still have to take what the first one has put there.
    expect(guest.received(FrameType.shared, last)).toHaveLength(0);
    guest.credit(1, 5000);
    await settle();
    inputs.at(-1)?.write(Buffer.alloc(5000, 'd'));
    await settle();
    expect(taken(last).equals(Buffer.alloc(5000, 'd'))).toBe(true);
  });
});

describe('output by way of shared memory', () => {
  it('is read where the guest says, and acknowledged', async () => {
    const output = client.openReadable(client.allocateStreamId());
    ordinary.fill('x', 1000, 11_000);
    guest.send(FrameType.shared, 1, encodePlace({ offset: 1000, length: 10_000 }));
    guest.eof(1);
    const parts: Buffer[] = [];
    for await (const part of output) parts.push(part as Buffer);
    expect(Buffer.concat(parts).equals(Buffer.alloc(10_000, 'x'))).toBe(true);
    expect(guest.credited(1)).toBe(10_000);
  });

  it.each([
    ['no bytes', 0, 0],
    ['more than a window', 0, streamWindowBytes + 1],
    ["the host's half", sharedHalfBytes - 10, 11],
    ['far outside', 0xffffffff, 4096],
  ])('ends the session of a guest that tells of %s', async (_, offset, length) => {
    client.openReadable(client.allocateStreamId());
    guest.send(FrameType.shared, 1, encodePlace({ offset, length }));
    expect(await client.closed).toContain('bytes of shared memory at');
  });

  it('is a breach of the protocol where there is none', async () => {
    const other = new ScriptedGuest();
    const poor = await other.greet();
    poor.openReadable(poor.allocateStreamId());
    other.send(FrameType.shared, 1, encodePlace({ offset: 0, length: 5000 }));
    expect(await poor.closed).toContain('bytes in shared memory that there is not');
  });
});
