import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { GuestHello } from '../../hyperstart/protocol/message.ts';
import { FrameType, maxDataBytes, streamWindowBytes } from '../../hyperstart/protocol/frame.ts';
import { helloMessage, ScriptedGuest, settle } from '../support/scripted-guest.ts';

/** A header as the guest likes it. */
function header(length: number, streamId: number, type: number, reserved = 0): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt32LE(streamId, 4);
  bytes.writeUInt8(type, 8);
  bytes.writeUInt8(reserved, 11);
  return bytes;
}

const process = (id: number): GuestHello['processes'][number] => ({
  containerId: 'c1',
  execId: String(id),
  streams: { stdin: null, stdout: id, stderr: null },
  exit: null,
});

describe('a hostile guest ends its own session, with the reason, by', () => {
  const violations: readonly (readonly [string, (guest: ScriptedGuest) => void, string])[] = [
    ['a message of 4 GiB', (g) => g.channel.write(header(0xffffffff, 0, 1)), 'frame type 1 with'],
    ['an empty message', (g) => g.channel.write(header(0, 0, 1)), 'frame type 1 with 0 bytes'],
    ['a data frame of 4 GiB', (g) => g.channel.write(header(0xffffffff, 1, 2)), 'frame type 2'],
    ['an unknown frame type', (g) => g.channel.write(header(0, 1, 9)), 'frame type 9'],
    ['reserved bytes', (g) => g.channel.write(header(0, 1, 4, 1)), 'reserved header bytes'],
    ['data on stream 0', (g) => g.channel.write(header(1, 0, 2)), 'frame type 2 on stream 0'],
    [
      'a message that is no JSON',
      (g) => {
        g.send(FrameType.message, 0, Buffer.from('{'));
      },
      'JSON',
    ],
    [
      'a message of another type',
      (g) => {
        g.message({ type: 'hi' });
      },
      'type',
    ],
    [
      'a second hello',
      (g) => {
        g.message(helloMessage());
      },
      'a hello message after the hello',
    ],
    [
      'an exit code that cannot be',
      (g) => {
        const exit = { exitCode: 256, signal: null, oomKilled: false };
        g.message({ type: 'event', event: 'exit', containerId: 'c', execId: null, exit });
      },
      'exitCode',
    ],
    [
      'an error of an unknown code',
      (g) => {
        g.message({ type: 'error', id: 1, code: 'OOPS', message: '' });
      },
      'code',
    ],
    [
      'more than the window of a stream',
      (g) => {
        for (let sent = 0; sent <= streamWindowBytes; sent += maxDataBytes) {
          g.data(1, Buffer.alloc(maxDataBytes));
        }
      },
      'stream 1 exceeds its window',
    ],
    [
      'data after the end of a stream',
      (g) => {
        g.eof(1);
        g.data(1, 'x');
      },
      'data after the end',
    ],
    [
      'credit for bytes that were not sent',
      (g) => {
        g.credit(2, 1);
      },
      'credit for bytes',
    ],
  ];

  it.each(violations)('%s', async (_name, violate, reason) => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    client.openReadable(client.allocateStreamId());
    client.openWritable(client.allocateStreamId());
    violate(guest);
    expect(await client.closed).toContain(reason);
    expect(guest.hostEnd.destroyed).toBe(true);
  });

  const hellos: readonly (readonly [string, unknown, string])[] = [
    ['a response before the hello', { type: 'response', id: 1, result: {} }, 'before the hello'],
    ['a hello without its fields', { type: 'hello' }, 'protocolVersion'],
    [
      'a stream id that only it could have given',
      helloMessage({ processes: [process(2 ** 32 - 1)] }),
      'that cannot be',
    ],
    [
      'one stream for two processes',
      helloMessage({ processes: [process(1), process(1)] }),
      'that cannot be',
    ],
    ['a stream id beyond 32 bits', helloMessage({ processes: [process(2 ** 40)] }), 'stdout'],
  ];

  it.each(hellos)('%s', async (_name, message, reason) => {
    const guest = new ScriptedGuest();
    await expect(guest.open(message)).rejects.toThrow(reason);
  });

  it('a stream frame before the hello', async () => {
    const guest = new ScriptedGuest();
    const { opened } = await guest.connect();
    guest.data(1, 'x');
    await expect(opened).rejects.toThrow('a stream frame came before the hello');
  });

  it('output without end for streams that nobody has opened', async () => {
    const guest = new ScriptedGuest();
    const ids = Array.from({ length: 100 }, (_, index) => index + 1);
    const client = await guest.greet({ processes: ids.map(process) });
    for (const id of ids) {
      for (let sent = 0; sent < streamWindowBytes; sent += maxDataBytes) {
        guest.data(id, Buffer.alloc(maxDataBytes));
      }
    }
    expect(await client.closed).toContain('too much output for streams that nobody has opened');
  });

  it('asking for answers that it does not read', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    await settle();
    guest.channel.pause();
    const unwanted = Buffer.concat(
      Array.from({ length: 10_000 }, () => Buffer.concat([header(1, 77, 2), Buffer.alloc(1)])),
    );
    const flood = async (): Promise<void> => {
      while (!guest.channel.destroyed && !guest.hostEnd.destroyed) {
        guest.channel.write(unwanted);
        await settle();
      }
    };
    await Promise.all([flood(), client.closed]);
    expect(await client.closed).toContain('does not read from the control channel');
  });
});

describe('a hostile guest gains nothing by', () => {
  it('frames for streams that nobody gave it: they are refused', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    guest.data(1000, 'x');
    guest.eof(1001);
    guest.credit(1002, 5);
    guest.reset(1003);
    await settle();
    expect(guest.received(FrameType.reset, 1000)).toHaveLength(1);
    expect(guest.hostEnd.destroyed).toBe(false);
    client.close();
  });

  it('answers to requests that were never made', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    guest.message({ type: 'response', id: 99, result: {} });
    guest.message({ type: 'error', id: 98, code: 'INTERNAL', message: '' });
    await settle();
    expect(guest.hostEnd.destroyed).toBe(false);
    client.close();
  });

  it('filling a window byte by byte: that costs us no more than twice its size', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const output = client.openReadable(client.allocateStreamId());
    const piece = Buffer.concat([header(1, 1, 2), Buffer.from('x')]);
    for (let round = 0; round < 64; round++) {
      guest.channel.write(Buffer.concat(Array.from({ length: 4096 }, () => piece)));
      await settle();
    }
    guest.eof(1);
    const sizes: number[] = [];
    for await (const chunk of output) sizes.push((chunk as Buffer).length);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(streamWindowBytes);
    expect(sizes.length).toBeLessThan(40);
  });

  it('breaking the session while nobody listens to its streams: hyperd goes on', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const [unread, opened] = [client.allocateStreamId(), client.allocateStreamId()];
    client.openReadable(opened).resume();
    guest.data(unread, 'x');
    guest.channel.write(header(0, 1, 9));
    await client.closed;
    await settle();
    expect(client.openReadable(unread).destroyed).toBe(false);
  });

  it('any bytes at all: the session ends or goes on, nothing is thrown, no request hangs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }),
        async (chunks) => {
          const guest = new ScriptedGuest();
          const client = await guest.greet();
          client.openReadable(client.allocateStreamId()).resume();
          const request = client.request('pause', { containerId: 'a' });
          const settled = Promise.allSettled([request]);
          for (const chunk of chunks) guest.channel.write(chunk);
          await settle();
          client.close();
          expect((await settled)[0].status).toBe('rejected');
        },
      ),
      { numRuns: 60 },
    );
  });
});
