import { type Frame, preambleOf } from '../../hyperstart/protocol/frame.ts';

/** A frame and its only encoding. Both ends are held to these bytes. */
export interface GoldenFrame {
  readonly name: string;
  readonly hex: string;
  readonly frame: Frame;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** The preamble of a session of a test. */
export const preamble = preambleOf(Uint8Array.of(0x01, 0x82, 0x48, 0xff));
export const goldenPreamble = '48595045522d4147454e540d8182c8ff';

export const goldenFrames = {
  message: {
    name: 'a message',
    hex: '13000000' + '00000000' + '01000000' + '7b2274797065223a2272656164792dc3a9227d',
    frame: { type: 1, streamId: 0, payload: text('{"type":"ready-é"}') },
  },
  data: {
    name: 'data',
    hex: '05000000' + '07000000' + '02000000' + '68656c6c6f',
    frame: { type: 2, streamId: 7, payload: text('hello') },
  },
  credit: {
    name: 'credit',
    hex: '04000000' + '07000000' + '03000000' + '05000000',
    frame: { type: 3, streamId: 7, payload: Uint8Array.of(5, 0, 0, 0) },
  },
  eof: {
    name: 'the end of a stream',
    hex: '00000000' + '07000000' + '04000000',
    frame: { type: 4, streamId: 7, payload: new Uint8Array() },
  },
  reset: {
    name: 'a reset of the highest stream',
    hex: '00000000' + 'ffffffff' + '05000000',
    frame: { type: 5, streamId: 0xffffffff, payload: new Uint8Array() },
  },
  shared: {
    name: 'a place in shared memory',
    hex: '08000000' + '07000000' + '06000000' + '00000400' + '00100000',
    frame: { type: 6, streamId: 7, payload: Uint8Array.of(0, 0, 4, 0, 0, 16, 0, 0) },
  },
} as const satisfies Record<string, GoldenFrame>;

/** Headers that both ends refuse, before they take anything of the payload. */
export const refusedHeaders: readonly (readonly [name: string, hex: string])[] = [
  ['an empty message', '000000000000000001000000'],
  ['a message larger than 1 MiB', '010010000000000001000000'],
  ['a message of 4 GiB', 'ffffffff0000000001000000'],
  ['a message on a stream', '050000000700000001000000'],
  ['data on stream 0', '050000000000000002000000'],
  ['empty data', '000000000700000002000000'],
  ['data larger than 32 KiB', '018000000700000002000000'],
  ['credit of 8 bytes', '080000000700000003000000'],
  ['credit without a count', '000000000700000003000000'],
  ['an end with a payload', '010000000700000004000000'],
  ['a reset with a payload', '010000000700000005000000'],
  ['a place of four bytes', '040000000700000006000000'],
  ['an unknown frame type', '000000000700000007000000'],
  ['frame type 0', '000000000700000000000000'],
  ['a first reserved byte that is set', '050000000700000002010000'],
  ['a last reserved byte that is set', '050000000700000002000080'],
];
