import { beforeAll, describe, expect, it } from 'vitest';

import { encodeFrame, FrameDecoder } from '../../../hyperstart/protocol/frame-codec.ts';
import { FrameType, maxMessageBytes } from '../../../hyperstart/protocol/frame.ts';
import {
  goldenFrames,
  goldenPreamble,
  preamble,
  refusedHeaders,
} from '../../support/golden-frames.ts';
import { buildPump, PumpProcess } from '../../support/pump-process.ts';

let binary: string;

beforeAll(async () => {
  binary = await buildPump();
});

const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('the host’s end', () => {
  it('starts a session with the golden preamble', () => {
    expect(toHex(preamble)).toBe(goldenPreamble);
  });

  it.each(Object.values(goldenFrames))('writes and reads $name as its golden bytes', (golden) => {
    const decoder = new FrameDecoder(preamble);
    expect(toHex(encodeFrame(golden.frame))).toBe(golden.hex);
    expect(decoder.push(fromHex(goldenPreamble + golden.hex))).toEqual([golden.frame]);
  });

  it.each(refusedHeaders)('refuses %s', (_, hex) => {
    const decoder = new FrameDecoder(preamble);
    decoder.push(preamble);
    expect(() => decoder.push(fromHex(hex))).toThrow('protocol violation');
  });
});

describe('the guest’s end', () => {
  it('answers a hello with the golden preamble and one message frame', async () => {
    await using pump = new PumpProcess(binary);
    await pump.connect();
    const hello = toHex(new TextEncoder().encode('{"type":"hello","happened":["session"]}'));
    expect(pump.rawHex).toBe(`${goldenPreamble}270000000000000001000000${hello}`);
  });

  it('writes data and the end of a stream as their golden bytes', async () => {
    await using pump = new PumpProcess(binary);
    await pump.connect();
    await pump.ask({ type: 'add', id: 7, fd: 4 });
    const before = pump.rawHex.length;
    pump.descriptor(4).end('hello');
    const frames = [await pump.next(), await pump.next()];
    expect(frames).toEqual([goldenFrames.data.frame, goldenFrames.eof.frame]);
    expect(pump.rawHex.slice(before)).toBe(goldenFrames.data.hex + goldenFrames.eof.hex);
  });

  it('takes golden credit, and then has the stream drained', async () => {
    await using pump = new PumpProcess(binary);
    await pump.connect();
    await pump.ask({ type: 'add', id: 7, fd: 4 });
    pump.descriptor(4).end('hello');
    await pump.next();
    await pump.next();
    pump.write(fromHex(goldenFrames.credit.hex));
    expect(await pump.nextMessage()).toEqual({ drained: 7 });
  });

  it('takes golden data and its end, and answers with golden credit', async () => {
    await using pump = new PumpProcess(binary);
    await pump.connect();
    await pump.ask({ type: 'add', id: 7, fd: 5, isSink: true });
    const before = pump.rawHex.length;
    pump.write(fromHex(goldenFrames.data.hex + goldenFrames.eof.hex));
    const received = await pump.descriptor(5).toArray();
    expect(Buffer.concat(received as Buffer[]).toString()).toBe('hello');
    expect(await pump.next()).toEqual(goldenFrames.credit.frame);
    expect(pump.rawHex.slice(before)).toBe(goldenFrames.credit.hex);
  });

  it('answers data for a stream that it does not know with a golden reset', async () => {
    await using pump = new PumpProcess(binary);
    await pump.connect();
    pump.send({ type: FrameType.data, streamId: 0xffffffff, payload: Uint8Array.of(1) });
    expect(await pump.next()).toEqual(goldenFrames.reset.frame);
    expect(pump.rawHex.endsWith(goldenFrames.reset.hex)).toBe(true);
  });

  it('ends the session at each refused header, and serves the next one', async () => {
    await using pump = new PumpProcess(binary);
    await pump.connect();
    for (const [name, hex] of refusedHeaders) {
      pump.write(fromHex(hex));
      const happened = await pump.connect();
      expect([name, happened.length, happened[1]]).toEqual([name, 2, 'session']);
    }
  });

  it('takes a message of the largest size, and refuses to send a larger one', async () => {
    await using pump = new PumpProcess(binary);
    await pump.connect();
    const length = maxMessageBytes - '{"type":"echo","text":""}'.length;
    expect(await pump.ask({ type: 'echo', text: 'x'.repeat(length) })).toEqual({ length });
    const EMSGSIZE = 90;
    expect(await pump.ask({ type: 'say', length: maxMessageBytes + 1 })).toEqual({
      result: -EMSGSIZE,
    });
  });
});
