import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { encodePlace } from '../../../hyperstart/protocol/frame-codec.ts';
import {
  type Frame,
  FrameType,
  sharedHalfBytes,
  sharedStreams,
  streamWindowBytes,
} from '../../../hyperstart/protocol/frame.ts';
import { buildPump, PumpProcess } from '../../support/pump-process.ts';

let binary: string;
let directory: string;
let memory: FileHandle;
let pump: PumpProcess;

beforeAll(async () => {
  binary = await buildPump();
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-pump-'));
  memory = await open(path.join(directory, 'memory'), 'w+');
  await memory.truncate(2 * sharedHalfBytes);
  pump = new PumpProcess(binary);
  await pump.connect(path.join(directory, 'memory'));
});

afterEach(async () => {
  await pump[Symbol.asyncDispose]();
  await memory.close();
  await rm(directory, { recursive: true });
});

async function add(stream: object): Promise<void> {
  expect(await pump.ask({ type: 'add', ...stream })).toEqual({ added: 0 });
}

/** The bytes that a frame brings or tells of. */
async function bytesOf(frame: Frame): Promise<Buffer> {
  if (frame.type === FrameType.data) return Buffer.from(frame.payload);
  const [offset, length] = [0, 4].map((at) => Buffer.from(frame.payload).readUInt32LE(at));
  const { buffer } = await memory.read(Buffer.alloc(length ?? 0), 0, length, offset ?? 0);
  return buffer;
}

describe('the frame pump with shared memory', () => {
  it('puts a long stream there, piece by piece, and loses no byte', async () => {
    await add({ id: 1, fd: 4 });
    const sent = randomBytes(2_000_003);
    pump.descriptor(4).end(sent);
    const parts: Buffer[] = [];
    let places = 0;
    for (let frame = await pump.next(); frame.type !== FrameType.eof; frame = await pump.next()) {
      const bytes = await bytesOf(frame);
      parts.push(bytes);
      places += Number(frame.type === FrameType.shared);
      pump.credit(1, bytes.length);
    }
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
    expect(places).toBeGreaterThan(sent.length / streamWindowBytes);
    expect(await pump.nextMessage()).toEqual({ drained: 1 });
  });

  it('sends little over the port, and the same places again to the next host', async () => {
    await add({ id: 1, fd: 4 });
    pump.descriptor(4).write('little');
    expect(await pump.next()).toMatchObject({ type: FrameType.data });
    pump.credit(1, 6);
    pump.descriptor(4).write(Buffer.alloc(5000, 'x'));
    const place = await pump.next();
    expect(place.type).toBe(FrameType.shared);
    await pump.connect(path.join(directory, 'memory'));
    expect(await pump.next()).toEqual(place);
    // A host without shared memory gets the bytes themselves.
    await pump.connect();
    const whole = await pump.next();
    expect(whole.type).toBe(FrameType.data);
    expect((await bytesOf(whole)).equals(Buffer.alloc(5000, 'x'))).toBe(true);
  });

  it('has places for so many streams, again when one of them is removed', async () => {
    const ids = Array.from({ length: sharedStreams }, (_, index) => index + 10);
    for (const id of ids) await add({ id });
    const typeOf = async (id: number): Promise<FrameType> => {
      await add({ id, fd: 4 + id });
      pump.descriptor(4 + id).write(Buffer.alloc(5000, 'x'));
      for (let frame = await pump.next(); ; frame = await pump.next()) {
        if (frame.streamId === id) return frame.type;
      }
    };
    expect(await typeOf(1)).toBe(FrameType.data);
    expect(await pump.ask({ type: 'remove', id: 10 })).toEqual({ removed: 10 });
    expect(await typeOf(2)).toBe(FrameType.shared);
  });

  it('takes what the host has put there, and gives credit for it', async () => {
    await add({ id: 1, fd: 4, isSink: true });
    const sent = randomBytes(200_000);
    await memory.write(sent, 0, sent.length, sharedHalfBytes + 4096);
    const place = { offset: sharedHalfBytes + 4096, length: sent.length };
    pump.send({ type: FrameType.shared, streamId: 1, payload: encodePlace(place) });
    const parts: Buffer[] = [];
    for await (const part of pump.descriptor(4).iterator({ destroyOnReturn: false })) {
      parts.push(part as Buffer);
      if (Buffer.concat(parts).length === sent.length) break;
    }
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
    expect((await pump.next()).type).toBe(FrameType.credit);
  });

  it.each([
    ['outside', 2 * sharedHalfBytes - 10, 11, 'place outside of the shared memory'],
    ['of no bytes', 0, 0, 'data frame of a size that is not allowed'],
    ['larger than a window', 0, streamWindowBytes + 1, 'data frame of a size that is not allowed'],
  ])('ends the session of a host that names a place %s', async (_, offset, length, reason) => {
    await add({ id: 1, fd: 4, isSink: true });
    pump.send({ type: FrameType.shared, streamId: 1, payload: encodePlace({ offset, length }) });
    expect(await pump.connect()).toEqual([reason, 'session']);
  });

  it('refuses places where the host has said that there is no such memory', async () => {
    await pump.connect();
    await add({ id: 1, fd: 4, isSink: true });
    const payload = encodePlace({ offset: 0, length: 5000 });
    pump.send({ type: FrameType.shared, streamId: 1, payload });
    expect(await pump.connect()).toEqual(['no place in shared memory', 'session']);
  });
});
