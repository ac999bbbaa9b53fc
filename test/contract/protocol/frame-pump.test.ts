import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';

import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';

import { encodeFrame } from '../../../hyperstart/protocol/frame-codec.ts';
import {
  type Frame,
  FrameType,
  maxDataBytes,
  preambleOf,
  streamWindowBytes,
} from '../../../hyperstart/protocol/frame.ts';
import { preamble } from '../../support/golden-frames.ts';
import { buildPump, PumpProcess } from '../../support/pump-process.ts';

let binary: string;

beforeAll(async () => {
  binary = await buildPump();
});

const quietMs = 100;

/** A pump with an accepted session and these streams on the descriptors 4, 5, … */
async function openPump(...streams: readonly object[]): Promise<PumpProcess> {
  const pump = new PumpProcess(binary);
  await pump.connect();
  for (const [index, stream] of streams.entries()) {
    expect(await pump.ask({ type: 'add', fd: 4 + index, ...stream })).toEqual({ added: 0 });
  }
  return pump;
}

async function takeBytes(pump: PumpProcess, streamId: number, wanted: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let length = 0; length < wanted;) {
    const frame = await pump.next();
    expect([frame.type, frame.streamId]).toEqual([FrameType.data, streamId]);
    parts.push(frame.payload);
    length += frame.payload.length;
  }
  return Buffer.concat(parts);
}

/** Resolves to null when no frame comes for a while. */
async function nextOrQuiet(pump: PumpProcess): Promise<Frame | null> {
  return await Promise.race([
    pump.next(),
    new Promise<null>((resolve) => setTimeout(resolve, quietMs, null)),
  ]);
}

function send(pump: PumpProcess, streamId: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += maxDataBytes) {
    const payload = bytes.subarray(at, at + maxDataBytes);
    pump.send({ type: FrameType.data, streamId, payload });
  }
}

async function readBytes(stream: Duplex, wanted: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of stream.iterator({ destroyOnReturn: false })) {
    parts.push(part as Buffer);
    length += (part as Buffer).length;
    if (length >= wanted) break;
  }
  return Buffer.concat(parts);
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a source', () => {
  it('loses no byte of a long stream, whatever the credits', async () => {
    await using pump = await openPump({ id: 1 });
    const sent = randomBytes(3_000_001);
    pump.descriptor(4).end(sent);
    const parts: Uint8Array[] = [];
    for (let frame = await pump.next(); frame.type !== FrameType.eof; frame = await pump.next()) {
      parts.push(frame.payload);
      // In two parts, of which one is odd.
      const odd = Math.floor(frame.payload.length / 3);
      pump.credit(1, odd);
      pump.credit(1, frame.payload.length - odd);
    }
    expect(hashOf(Buffer.concat(parts))).toBe(hashOf(sent));
    expect(await pump.nextMessage()).toEqual({ drained: 1 });
  });

  it('stops at a full window, goes on by as much as is credited, and lets others pass', async () => {
    await using pump = await openPump({ id: 1 }, { id: 2 });
    pump.descriptor(4).write(randomBytes(streamWindowBytes + 50_000));
    await takeBytes(pump, 1, streamWindowBytes);
    expect(await nextOrQuiet(pump)).toBeNull();
    pump.descriptor(5).write('other');
    expect((await takeBytes(pump, 2, 5)).toString()).toBe('other');
    expect(await pump.ask({ type: 'echo', text: 'abc' })).toEqual({ length: 3 });
    pump.credit(1, 1000);
    expect((await takeBytes(pump, 1, 1000)).length).toBe(1000);
    expect(await nextOrQuiet(pump)).toBeNull();
  });

  it('sends again to the next host what the last one did not acknowledge, and the end', async () => {
    await using pump = await openPump({ id: 1 });
    pump.descriptor(4).end('acknowledged;open');
    await takeBytes(pump, 1, 17);
    await pump.next();
    pump.credit(1, 13);
    await pump.ask({ type: 'echo', text: '' });
    expect(await pump.connect()).toEqual(['session']);
    expect((await takeBytes(pump, 1, 4)).toString()).toBe('open');
    expect((await pump.next()).type).toBe(FrameType.eof);
    pump.credit(1, 4);
    expect(await pump.nextMessage()).toEqual({ drained: 1 });
  });

  it('keeps what its program says between two hosts', async () => {
    await using pump = await openPump({ id: 1 });
    pump.write(Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0));
    pump.descriptor(4).write('meanwhile');
    expect(await pump.connect()).toEqual(['unknown frame type', 'session']);
    expect((await takeBytes(pump, 1, 9)).toString()).toBe('meanwhile');
  });

  it('refuses credit for what it has not sent', async () => {
    await using pump = await openPump({ id: 1 });
    pump.descriptor(4).write('four');
    await takeBytes(pump, 1, 4);
    pump.credit(1, 5);
    expect(await pump.connect()).toEqual(['credit for bytes that were not sent', 'session']);
  });

  it('is closed by a reset of the host, as by EPIPE', async () => {
    await using pump = await openPump({ id: 1 });
    pump.descriptor(4).write('unread');
    await takeBytes(pump, 1, 6);
    const closed = new Promise((resolve) => pump.descriptor(4).once('close', resolve));
    pump.descriptor(4).resume();
    pump.send({ type: FrameType.reset, streamId: 1, payload: new Uint8Array() });
    expect((await pump.next()).type).toBe(FrameType.eof);
    expect(await pump.nextMessage()).toEqual({ drained: 1 });
    expect(await pump.ask({ type: 'isAtEnd', id: 1 })).toEqual({ isAtEnd: true });
    await closed;
  });

  it('is forgotten when it is removed, and its id is free again', async () => {
    await using pump = await openPump({ id: 1 });
    const EEXIST = 17;
    expect(await pump.ask({ type: 'add', id: 1, fd: 5 })).toEqual({ added: -EEXIST });
    expect(await pump.ask({ type: 'isAtEnd', id: 1 })).toEqual({ isAtEnd: false });
    await pump.ask({ type: 'remove', id: 1 });
    expect(await pump.ask({ type: 'isAtEnd', id: 1 })).toEqual({ isAtEnd: true });
    expect(await pump.ask({ type: 'add', id: 1, fd: 5 })).toEqual({ added: 0 });
  });
});

describe('a sink', () => {
  it('gives credit as its program reads, and for every byte', async () => {
    await using pump = await openPump({ id: 9, isSink: true });
    const sent = randomBytes(1_000_003);
    const received = readBytes(pump.descriptor(4), sent.length);
    let window = streamWindowBytes;
    for (let at = 0; at < sent.length || window < streamWindowBytes;) {
      const part = sent.subarray(at, at + Math.min(window, 30_000));
      send(pump, 9, part);
      at += part.length;
      window -= part.length;
      if (part.length > 0) continue;
      const frame = await pump.next();
      expect([frame.type, frame.streamId]).toEqual([FrameType.credit, 9]);
      window += new DataView(frame.payload.buffer).getUint32(0, true);
    }
    expect(window).toBe(streamWindowBytes);
    expect(hashOf(await received)).toBe(hashOf(sent));
  });

  it('holds a window for a reader that does not read, and stops nobody else', async () => {
    await using pump = await openPump({ id: 9, isSink: true }, { id: 10, isSink: true });
    pump.descriptor(4).pause();
    // Node reads ahead even then; the rest of a window stays with the pump.
    for (let window = streamWindowBytes; window > 0;) {
      send(pump, 9, new Uint8Array(window));
      const frame = await nextOrQuiet(pump);
      window = frame === null ? 0 : new DataView(frame.payload.buffer).getUint32(0, true);
    }
    send(pump, 10, Buffer.from('through'));
    expect((await readBytes(pump.descriptor(5), 7)).toString()).toBe('through');
    expect((await pump.next()).streamId).toBe(10);
  });

  it('ends the session of a host that sends more than the window', async () => {
    await using pump = await openPump({ id: 9, isSink: true });
    pump.descriptor(4).pause();
    send(pump, 9, new Uint8Array(3 * streamWindowBytes));
    expect(await pump.connect()).toEqual(['more data than the window allows', 'session']);
  });

  it('gives a new host its full window, and no credit for the bytes of the last one', async () => {
    await using pump = await openPump({ id: 9, isSink: true });
    const first = randomBytes(200_000);
    const second = randomBytes(streamWindowBytes);
    send(pump, 9, first);
    expect((await pump.connect()).at(-1)).toBe('session');
    send(pump, 9, second);
    const received = await readBytes(pump.descriptor(4), first.length + second.length);
    expect(hashOf(received)).toBe(hashOf(Buffer.concat([first, second])));
    let credited = 0;
    while (credited < second.length) {
      credited += new DataView((await pump.next()).payload.buffer).getUint32(0, true);
    }
    expect(credited).toBe(second.length);
    expect(await nextOrQuiet(pump)).toBeNull();
  });

  it('answers with a reset when its program has closed, and discards the rest', async () => {
    await using pump = await openPump({ id: 9, isSink: true });
    pump.descriptor(4).destroy();
    await new Promise((resolve) => setTimeout(resolve, quietMs));
    send(pump, 9, new Uint8Array(1000));
    send(pump, 9, new Uint8Array(1000));
    const frames = [await pump.next(), await pump.next()];
    expect(frames.map((frame) => frame.type)).toEqual([FrameType.reset, FrameType.reset]);
  });

  it('takes nothing after its end, and a terminal has none', async () => {
    await using pump = await openPump(
      { id: 9, isSink: true },
      { id: 10, isSink: true, isTerminal: true },
    );
    const eof = { type: FrameType.eof, payload: new Uint8Array() };
    pump.send({ ...eof, streamId: 10 });
    expect(await pump.ask({ type: 'echo', text: '' })).toEqual({ length: 0 });
    pump.send({ ...eof, streamId: 9 });
    send(pump, 9, Uint8Array.of(1));
    expect(await pump.connect()).toEqual(['data for a stream that takes none', 'session']);
    expect(pump.descriptor(5).readableEnded).toBe(false);
  });
});

describe('a session', () => {
  it('does not depend on where its bytes are cut', async () => {
    const message = { type: 'echo', text: 'á'.repeat(500) };
    const payload = new TextEncoder().encode(JSON.stringify(message));
    const hello = new TextEncoder().encode('{"type":"hello"}');
    const encode = (bytes: Uint8Array): Uint8Array =>
      encodeFrame({ type: FrameType.message, streamId: 0, payload: bytes });
    const whole = Buffer.concat([preamble, encode(hello), encode(payload)]);
    await using pump = new PumpProcess(binary);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(cuts, async (positions) => {
        pump.restartDecoder();
        const sorted = [0, ...positions.sort((a, b) => a - b), whole.length];
        for (const [index, start] of sorted.slice(0, -1).entries()) {
          pump.write(whole.subarray(start, sorted[index + 1]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(await pump.nextMessage()).toMatchObject({ type: 'hello' });
        expect(await pump.nextMessage()).toEqual({ length: 500 });
      }),
      { numRuns: 25 },
    );
  });

  it('begins after any garbage, also one that looks like half a preamble', async () => {
    await using pump = new PumpProcess(binary);
    pump.write(Buffer.concat([randomBytes(5000), preamble.subarray(0, 9)]));
    expect(await pump.connect()).toEqual(['session']);
  });

  it('is that of the last host, whose key it repeats', async () => {
    await using pump = await openPump();
    const another = preambleOf(Uint8Array.of(1, 2, 3, 4));
    const timesRepeated = (key: Uint8Array): number =>
      pump.rawHex.split(Buffer.from(key).toString('hex')).length - 1;
    expect(timesRepeated(preamble)).toBe(1);
    pump.restartDecoder();
    pump.write(another);
    pump.message({ type: 'hello' });
    await vi.waitFor(() => {
      expect(timesRepeated(another)).toBe(1);
    });
    expect(await pump.connect()).toEqual(['session']);
    expect(timesRepeated(preamble)).toBe(2);
  });

  it('takes nothing but messages before its hello is answered', async () => {
    await using pump = new PumpProcess(binary);
    pump.write(preamble);
    send(pump, 3, Uint8Array.of(1));
    expect(await pump.connect()).toEqual([
      'session',
      'stream frame before the hello was answered',
      'session',
    ]);
  });
});

describe('a fault of the program', () => {
  it.each([
    ['an exception', 'throw', 'TypeError: thrown on purpose'],
    ['a rejection without a handler', 'reject', 'RangeError: rejected on purpose'],
  ])('ends it at %s, which is on the console with its stack', async (_, type, text) => {
    await using pump = await openPump();
    pump.message({ type });
    const { code, console } = await pump.end();
    expect(code).toBe(70);
    expect(console).toContain(`hyperstart: fatal: ${text}`);
    expect(console).toMatch(/at (throw|reject) \(hyperstart\.js:\d+/);
  });

  it('does not count a rejection that is handled in time', async () => {
    await using pump = await openPump();
    expect(await pump.ask({ type: 'recover' })).toEqual({ recovered: true });
  });
});
