import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { duplexPair } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { openAgentClient } from '../../../../hyperd/agent/agent-client.ts';
import { AgentError } from '../../../../hyperd/agent/agent-error.ts';
import {
  FrameType,
  maxDataBytes,
  streamWindowBytes,
} from '../../../../hyperstart/protocol/frame.ts';
import { protocolVersion } from '../../../../hyperstart/protocol/version.ts';
import { preamble } from '../../../support/golden-frames.ts';
import { processConfig } from '../../../support/guest-bench.ts';
import { helloMessage, ScriptedGuest, settle } from '../../../support/scripted-guest.ts';

const exec = { containerId: 'c1', execId: 'e1' } as const;

describe('opening a session', () => {
  it('exchanges preambles and hellos', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    await settle();
    expect(client.hello.kernelRelease).toBe('6.12');
    expect(Buffer.from(guest.frames[0]?.payload ?? []).toString()).toBe(
      `{"type":"hello","protocolVersion":${String(protocolVersion)},"sharedMemory":false}`,
    );
  });

  it('skips what an earlier session has left in the channel', async () => {
    const guest = new ScriptedGuest();
    guest.channel.write('rest of a frame HYPER-AGEN');
    expect((await guest.greet()).hello.protocolVersion).toBe(protocolVersion);
  });

  it('takes no answer that was meant for another host', async () => {
    const guest = new ScriptedGuest();
    guest.channel.write(preamble);
    guest.message(helloMessage({ kernelRelease: 'stale' }));
    expect((await guest.greet()).hello.kernelRelease).toBe('6.12');
  });

  it('refuses an agent of another version', async () => {
    const guest = new ScriptedGuest();
    await expect(guest.greet({ protocolVersion: 99 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `agent: it speaks protocol version 99, hyperd ${String(protocolVersion)}`,
    });
    expect(guest.hostEnd.destroyed).toBe(true);
  });

  it('gives up on a silent agent when the caller does, and closes the channel', async () => {
    const [hostEnd] = duplexPair();
    const opened = openAgentClient(hostEnd, {
      onEvent: () => undefined,
      signal: AbortSignal.timeout(10),
    });
    await expect(opened).rejects.toThrow();
    expect(hostEnd.destroyed).toBe(true);
  });

  it('fails when the channel closes before the hello', async () => {
    const guest = new ScriptedGuest();
    const opened = openAgentClient(guest.hostEnd, {
      onEvent: () => undefined,
      signal: AbortSignal.timeout(5000),
    });
    guest.channel.end();
    await expect(opened).rejects.toThrow('the guest has closed the control channel');
  });
});

describe('a request', () => {
  it('resolves with the checked result, whatever the order of the answers', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const first = client.request('pause', { containerId: 'a' });
    const second = client.request('pause', { containerId: 'b' });
    await settle();
    expect(guest.requests().map(({ id, params }) => [id, params])).toEqual([
      [1, { containerId: 'a' }],
      [2, { containerId: 'b' }],
    ]);
    guest.message({ type: 'error', id: 2, code: 'COMMAND_NOT_FOUND', message: 'exec: "b"' });
    guest.message({ type: 'response', id: 1, result: {} });
    await expect(first).resolves.toEqual({});
    await expect(second).rejects.toEqual(new AgentError('COMMAND_NOT_FOUND', 'exec: "b"'));
    await expect(second).rejects.toMatchObject({ agentCode: 'COMMAND_NOT_FOUND' });
  });

  it('rejects when the result is not what the method gives', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const request = client.request('exec', { ...exec, process: processConfig() });
    guest.message({ type: 'response', id: 1, result: { pid: '40' } });
    await expect(request).rejects.toThrow('pid');
  });

  it('is cancelled in the guest when its caller gives up', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const abort = new AbortController();
    const request = client.request('pause', { containerId: 'a' }, abort.signal);
    abort.abort(new Error('too late'));
    await expect(request).rejects.toThrow('too late');
    await settle();
    expect(Buffer.from(guest.frames.at(-1)?.payload ?? []).toString()).toBe(
      '{"type":"cancel","id":1}',
    );
    guest.message({ type: 'response', id: 1, result: {} });
    await settle();
    expect(guest.hostEnd.destroyed).toBe(false);
  });

  it('that is too long for one message is refused here', async () => {
    const client = await new ScriptedGuest().greet();
    const process = processConfig({ args: ['x'.repeat(1024 * 1024)] });
    await expect(client.request('exec', { ...exec, process })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('fails with the session, and after it', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const request = client.request('shutdown', {});
    guest.channel.end();
    const message =
      'agent: shutdown: the session is over: the guest has closed the control channel';
    await expect(request).rejects.toMatchObject({ code: 'UNAVAILABLE', message });
    await expect(client.request('shutdown', {})).rejects.toThrow(message);
    await expect(client.closed).resolves.toBe('the guest has closed the control channel');
  });
});

describe('output of the guest', () => {
  it('is acknowledged only as its reader comes for more', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const output = client.openReadable(client.allocateStreamId());
    guest.data(1, 'hello');
    await settle();
    expect(guest.credited(1)).toBe(0);
    const reader = output[Symbol.asyncIterator]();
    expect(String((await reader.next()).value)).toBe('hello');
    const next = reader.next();
    await settle();
    expect(guest.credited(1)).toBe(5);
    guest.data(1, ' world');
    guest.eof(1);
    expect(String((await next).value)).toBe(' world');
    expect((await reader.next()).done).toBe(true);
    await settle();
    expect(guest.credited(1)).toBe(11);
    expect(guest.received(FrameType.reset, 1)).toEqual([]);
  });

  it('waits for its reader', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const id = client.allocateStreamId();
    guest.data(id, 'early');
    guest.eof(id);
    await settle();
    expect(await text(client.openReadable(id))).toBe('early');
  });

  it('of a stream that nobody reads holds up no other stream and no request', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const [stuck, flowing] = [client.allocateStreamId(), client.allocateStreamId()];
    client.openReadable(stuck);
    for (let sent = 0; sent < streamWindowBytes; sent += maxDataBytes) {
      guest.data(stuck, Buffer.alloc(maxDataBytes));
    }
    guest.data(flowing, 'flows');
    guest.eof(flowing);
    expect(await text(client.openReadable(flowing))).toBe('flows');
    const request = client.request('pause', { containerId: 'a' });
    guest.message({ type: 'response', id: 1, result: {} });
    await expect(request).resolves.toEqual({});
  });

  it('is refused once its reader has gone', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const output = client.openReadable(client.allocateStreamId());
    output.destroy();
    await settle();
    expect(guest.received(FrameType.reset, 1)).toHaveLength(1);
    guest.data(1, 'late');
    guest.eof(1);
    await settle();
    expect(guest.hostEnd.destroyed).toBe(false);
  });

  it('that came before the session broke can still be read', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const [whole, cut] = [client.allocateStreamId(), client.allocateStreamId()];
    const [wholeOutput, cutOutput] = [client.openReadable(whole), client.openReadable(cut)];
    guest.data(whole, 'all of it');
    guest.eof(whole);
    guest.data(cut, 'part of ');
    guest.channel.end();
    await client.closed;
    expect(await text(wholeOutput)).toBe('all of it');
    const chunks: string[] = [];
    cutOutput.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    const [error] = (await once(cutOutput, 'error')) as [Error];
    expect(chunks).toEqual(['part of ']);
    expect(error.message).toBe(
      'agent: the session ended: the guest has closed the control channel',
    );
  });

  it('ends when the guest has released its process, though another holds it open', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const stdout = client.allocateStreamId();
    const streams = { stdin: null, stdout, stderr: null };
    const started = client.request('exec', { ...exec, process: processConfig({ streams }) });
    guest.message({ type: 'response', id: 1, result: { pid: 5 } });
    await started;
    const output = text(client.openReadable(stdout));
    const exit = { exitCode: 0, signal: null, oomKilled: false };
    guest.data(stdout, 'printed');
    guest.message({ type: 'event', event: 'exit', ...exec, exit });
    const released = client.request('release', exec);
    guest.message({ type: 'response', id: 2, result: {} });
    await released;
    expect(await output).toBe('printed');
    expect(guest.events).toHaveLength(1);
  });

  it('of a process that a former hyperd has started is taken over', async () => {
    const guest = new ScriptedGuest();
    const streams = { stdin: 7, stdout: 8, stderr: null };
    const client = await guest.greet({
      processes: [{ containerId: 'c1', execId: null, streams, exit: null }],
    });
    guest.data(8, 'sent again');
    guest.eof(8);
    expect(await text(client.openReadable(8))).toBe('sent again');
    expect(client.allocateStreamId()).toBe(9);
  });

  it('is empty for a stream that is over', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const id = client.allocateStreamId();
    guest.eof(id);
    expect(await text(client.openReadable(id))).toBe('');
    await settle();
    expect(await text(client.openReadable(id))).toBe('');
  });
});

describe('input for the guest', () => {
  it('is sent as far as the window allows, then as it is acknowledged', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const input = client.openWritable(client.allocateStreamId());
    const bytes = Buffer.alloc(streamWindowBytes + 1000, 'a');
    let isTaken = false;
    // What is written to it is its own.
    input.write(Buffer.from(bytes), () => {
      isTaken = true;
    });
    input.end();
    await settle();
    expect(guest.receivedBytes(1)).toHaveLength(streamWindowBytes);
    expect(isTaken).toBe(false);
    guest.credit(1, 600);
    await settle();
    expect(guest.receivedBytes(1)).toHaveLength(streamWindowBytes + 600);
    expect(guest.received(FrameType.eof, 1)).toEqual([]);
    guest.credit(1, 400);
    await settle();
    expect(guest.receivedBytes(1).equals(bytes)).toBe(true);
    expect(isTaken).toBe(true);
    expect(guest.received(FrameType.eof, 1)).toHaveLength(1);
  });

  it('ends also when its writer gives up', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    client.openWritable(client.allocateStreamId()).destroy();
    await settle();
    expect(guest.received(FrameType.eof, 1)).toHaveLength(1);
  });

  it('vanishes when nobody in the guest reads it', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    const input = client.openWritable(client.allocateStreamId());
    guest.reset(1);
    await settle();
    input.end(Buffer.alloc(2 * streamWindowBytes));
    await once(input, 'finish');
    await settle();
    expect(guest.receivedBytes(1)).toHaveLength(0);
    expect(guest.received(FrameType.eof, 1)).toEqual([]);
  });

  it('does not pile up in the channel when the guest does not read', async () => {
    const guest = new ScriptedGuest();
    const client = await guest.greet();
    await settle();
    guest.channel.pause();
    for (let count = 0; count < 50; count++) {
      client.openWritable(client.allocateStreamId()).write(Buffer.alloc(streamWindowBytes));
    }
    await settle();
    expect(guest.hostEnd.writableLength).toBeLessThan(4 * maxDataBytes);
    guest.channel.resume();
    await settle();
    for (let turn = 0; turn < 50; turn++) await settle();
    expect(guest.receivedBytes(50)).toHaveLength(streamWindowBytes);
    expect(guest.receivedBytes(1)).toHaveLength(streamWindowBytes);
  });

  it('vanishes when the session is over', async () => {
    const client = await new ScriptedGuest().greet();
    client.close();
    await client.closed;
    const input = client.openWritable(1);
    input.end('late');
    await once(input, 'finish');
  });
});
