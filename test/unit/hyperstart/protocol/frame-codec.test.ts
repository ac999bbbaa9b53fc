import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  decodeCredit,
  encodeCredit,
  encodeFrame,
  FrameDecoder,
  FrameError,
} from '../../../../hyperstart/protocol/frame-codec.ts';
import {
  type Frame,
  frameHeaderBytes,
  FrameType,
  maxDataBytes,
  maxMessageBytes,
  preambleOf,
} from '../../../../hyperstart/protocol/frame.ts';
import { preamble } from '../../../support/golden-frames.ts';

const streamId = fc.integer({ min: 1, max: 0xffffffff });
const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });
const empty = fc.constant(new Uint8Array());

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    type: fc.constant(FrameType.message),
    streamId: fc.constant(0),
    payload: bytes(1, 2000),
  }),
  fc.record({ type: fc.constant(FrameType.data), streamId, payload: bytes(1, 2000) }),
  fc.record({ type: fc.constant(FrameType.credit), streamId, payload: bytes(4, 4) }),
  fc.record({ type: fc.constant(FrameType.eof), streamId, payload: empty }),
  fc.record({ type: fc.constant(FrameType.reset), streamId, payload: empty }),
);
const frames = fc.array(frame, { maxLength: 8 });

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Bytes before a session that do not contain its start. */
const garbage = bytes(0, 300).filter(
  (noise) =>
    !Buffer.from(join([noise, preamble]))
      .subarray(0, -1)
      .includes(Buffer.from(preamble)),
);

function header(length: number, stream: number, type: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(frameHeaderBytes));
  view.setUint32(0, length, true);
  view.setUint32(4, stream, true);
  view.setUint8(8, type);
  return new Uint8Array(view.buffer);
}

describe('FrameDecoder', () => {
  it('gives back what was encoded, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 20 }), (sent, cuts) => {
        const whole = join([preamble, ...sent.map(encodeFrame)]);
        const positions = cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b);
        const decoder = new FrameDecoder(preamble);
        const got = [0, ...positions].flatMap((start, index) =>
          decoder.push(whole.subarray(start, positions[index] ?? whole.length)),
        );
        expect(got).toEqual(sent);
      }),
    );
  });

  it('gives back what was encoded when it comes byte by byte', () => {
    fc.assert(
      fc.property(frames, (sent) => {
        const decoder = new FrameDecoder(preamble);
        const whole = join([preamble, ...sent.map(encodeFrame)]);
        const got = [...whole].flatMap((byte) => decoder.push(Uint8Array.of(byte)));
        expect(got).toEqual(sent);
      }),
    );
  });

  it('skips whatever comes before the preamble', () => {
    fc.assert(
      fc.property(garbage, frames, (noise, sent) => {
        const decoder = new FrameDecoder(preamble);
        expect(decoder.push(join([noise, preamble, ...sent.map(encodeFrame)]))).toEqual(sent);
      }),
    );
  });

  it('finds the preamble after the start of one', () => {
    const decoder = new FrameDecoder(preamble);
    for (let length = 1; length < preamble.length; length++) {
      expect(decoder.push(preamble.subarray(0, length))).toEqual([]);
    }
    const end = { type: FrameType.eof, streamId: 1, payload: new Uint8Array() };
    expect(decoder.push(join([preamble, encodeFrame(end)]))).toEqual([end]);
  });

  it('skips the preamble of another session, and what follows it', () => {
    const key = fc.uint8Array({ minLength: 4, maxLength: 4 });
    const another = key.map(preambleOf).filter((other) => !Buffer.from(other).equals(preamble));
    fc.assert(
      fc.property(another, frames, frames, (other, before, sent) => {
        const decoder = new FrameDecoder(preamble);
        const whole = [other, ...before.map(encodeFrame), preamble, ...sent.map(encodeFrame)];
        expect(decoder.push(join(whole))).toEqual(sent);
      }),
    );
  });

  it('answers any bytes with frames that keep the rules or with FrameError', () => {
    fc.assert(
      fc.property(fc.array(bytes(0, 64), { maxLength: 10 }), (parts) => {
        const decoder = new FrameDecoder(preamble);
        decoder.push(preamble);
        try {
          for (const got of parts.flatMap((part) => decoder.push(part))) {
            expect((got.type === FrameType.message) === (got.streamId === 0)).toBe(true);
            expect(got.payload.length).toBeLessThanOrEqual(maxMessageBytes);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
    );
  });

  it('takes payloads of the largest sizes, and refuses one byte more', () => {
    const decoder = new FrameDecoder(preamble);
    const message = {
      type: FrameType.message,
      streamId: 0,
      payload: new Uint8Array(maxMessageBytes).fill(7),
    };
    const data = { type: FrameType.data, streamId: 1, payload: new Uint8Array(maxDataBytes) };
    decoder.push(preamble);
    expect(decoder.push(encodeFrame(message))).toEqual([message]);
    expect(decoder.push(encodeFrame(data))).toEqual([data]);
    expect(() => decoder.push(header(maxDataBytes + 1, 1, FrameType.data))).toThrow(FrameError);
  });

  it('does not allocate for a size that it refuses', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (let attempt = 0; attempt < 100; attempt++) {
      const decoder = new FrameDecoder(preamble);
      decoder.push(preamble);
      expect(() => decoder.push(header(0xffffffff, 0, FrameType.message))).toThrow(
        'frame type 1 with 4294967295 bytes',
      );
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(maxMessageBytes);
  });
});

describe('credit', () => {
  it('carries any count', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (count) => {
        expect(decodeCredit(encodeCredit(count))).toBe(count);
      }),
    );
  });

  it('is read from the middle of a larger buffer', () => {
    const buffer = Uint8Array.of(9, 9, 1, 2, 0, 0, 9);
    expect(decodeCredit(buffer.subarray(2, 6))).toBe(0x201);
  });
});
