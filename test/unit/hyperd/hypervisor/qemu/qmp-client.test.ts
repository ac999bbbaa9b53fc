import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { QmpClient, type QmpEvent } from '../../../../../hyperd/hypervisor/qemu/qmp-client.ts';

const greeting = '{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}\r\n';

let directory: string;
let server: Server;
let events: QmpEvent[];
let sockets: Socket[];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-qmp-'));
  server = createServer().listen(path.join(directory, 'qmp.sock'));
  await once(server, 'listening');
  events = [];
  sockets = [];
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  server.close();
  await rm(directory, { recursive: true });
});

interface Request {
  readonly execute: string;
  readonly arguments: Record<string, unknown>;
  readonly id: number;
}

/** A monitor that greets and answers each command with what `answer` returns. */
async function monitor(answer: (request: Request) => string, hello = greeting) {
  const connected = once(server, 'connection');
  const socket = connect(path.join(directory, 'qmp.sock'));
  const [peer] = (await connected) as [Socket];
  sockets.push(socket, peer);
  peer.on('error', () => undefined);
  peer.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.trim().split('\n')) peer.write(answer(JSON.parse(line) as Request));
  });
  peer.write(hello);
  return { socket, peer, open: () => QmpClient.open(socket, (event) => events.push(event)) };
}

function ok(request: Request, value: unknown = {}): string {
  return `${JSON.stringify({ return: value, id: request.id })}\r\n`;
}

describe('QmpClient', () => {
  it('gives each command its own answer, whatever the order and even when it is empty', async () => {
    const held: Request[] = [];
    const { open } = await monitor((request) => {
      if (request.execute === 'qmp_capabilities') return ok(request);
      held.push(request);
      const [first, second] = held;
      return first && second ? ok(second, '') + ok(first, 'first') : '';
    });
    const client = await open();
    const answers = Promise.all([client.execute('a'), client.execute('b')]);
    expect(await answers).toEqual(['first', '']);
  });

  it('tells events, also those between a command and its answer', async () => {
    const { open } = await monitor(
      (request) => `{"event": "STOP", "timestamp": {}}\r\n${ok(request)}`,
    );
    await open();
    expect(events).toEqual([{ event: 'STOP', data: {} }]);
  });

  it("rejects with QEMU's own words when a command fails", async () => {
    const { open } = await monitor((request) =>
      request.execute === 'qmp_capabilities'
        ? ok(request)
        : JSON.stringify({ error: { class: 'GenericError', desc: 'no such' }, id: request.id }) +
          '\n',
    );
    const client = await open();
    await expect(client.execute('device_del', { id: 'x' })).rejects.toThrow(
      'QEMU: device_del: no such',
    );
  });

  it('rejects what is pending when the monitor closes, and what comes after', async () => {
    const { open, peer } = await monitor((request) =>
      request.execute === 'qmp_capabilities' ? ok(request) : '',
    );
    const client = await open();
    const pending = client.execute('stop');
    peer.destroy();
    await expect(pending).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await client.closed;
    await expect(client.execute('cont')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('hangs up on a peer that does not speak the protocol', async () => {
    const { open } = await monitor(() => 'this is no JSON\n');
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('hangs up on a line without an end', async () => {
    const { open } = await monitor(() => 'x'.repeat(2 * 1024 * 1024));
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('ignores answers to what it never asked', async () => {
    const strange = '{"return": 1, "id": "x"}\n{"return": 1, "id": 99}\n{"return": 1}\n';
    const { open } = await monitor((request) => strange + ok(request));
    await expect(open()).resolves.toBeInstanceOf(QmpClient);
  });

  it('understands a stream that is cut anywhere, even within a character', async () => {
    const stream = Buffer.from(
      `${greeting}{"event":"A","data":{"device":"dïsk-ü"}}\r\n{"return":{},"id":1}\r\n`,
    );
    const cutting = fc.array(fc.integer({ min: 1, max: stream.length - 1 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(cutting, async (cuts) => {
        events.length = 0;
        const { open, peer } = await monitor(() => '', '');
        const opening = open();
        const edges = [0, ...cuts.sort((a, b) => a - b), stream.length];
        for (const [index, edge] of edges.entries()) {
          peer.write(stream.subarray(edge, edges[index + 1] ?? edge));
          await new Promise(setImmediate);
        }
        await opening;
        expect(events).toEqual([{ event: 'A', data: { device: 'dïsk-ü' } }]);
      }),
      { numRuns: 25 },
    );
  });
});
