import { describe, expect, it } from 'vitest';

import type { OutputChunk } from '../../../../hyperd/pod/container-service.ts';
import { DetachScanner, parseDetachKeys } from '../../../../hyperd/pod/detach-keys.ts';
import { PodBench } from '../../../support/pod-bench.ts';

const outputOnly = {
  ...{ stdin: false, stdout: true, stderr: true },
  ...{ logs: false, stream: true, detachKeys: '' },
};

describe('output', () => {
  it('waits in the guest while an attached client does not read', async () => {
    await using bench = await PodBench.open();
    let written = 0;
    bench.programs.set('flood', async (io) => {
      for (; written < 100; written += 1) await io.write(`${String(written)}\n`);
      return 0;
    });
    const id = await bench.create({ Cmd: ['flood'] });
    const session = await bench.containers.attach(id, outputOnly);
    await bench.start(id);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const held = written;

    let text = '';
    for await (const chunk of session.output as AsyncIterable<OutputChunk>) {
      text += Buffer.from(chunk.bytes).toString();
    }

    expect(held).toBeLessThan(20);
    expect(text.split('\n')).toHaveLength(101);
    expect(await bench.wait(id)).toBe(0);
  });

  it('goes on when the client that held it back leaves', async () => {
    await using bench = await PodBench.open();
    bench.programs.set('flood', async (io) => {
      for (let line = 0; line < 100; line += 1) await io.write(`${String(line)}\n`);
      return 0;
    });
    const id = await bench.create({ Cmd: ['flood'] });
    const session = await bench.containers.attach(id, outputOnly);
    await bench.start(id);
    await session[Symbol.asyncDispose]();

    expect(await bench.wait(id)).toBe(0);
    expect((await bench.logText(id)).split('\n')).toHaveLength(101);
  });

  it('that came before is replayed from the log to who asks for it', async () => {
    await using bench = await PodBench.open();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    bench.programs.set('work', async (io) => {
      await io.write('early\n');
      await promise;
      await io.write('late\n');
      return 0;
    });
    const id = await bench.create({ Cmd: ['work'] });
    await bench.start(id);
    await expect.poll(() => bench.logText(id)).toBe('early\n');

    const session = await bench.containers.attach(id, { ...outputOnly, logs: true });
    resolve(undefined);

    let text = '';
    for await (const chunk of session.output as AsyncIterable<OutputChunk>) {
      text += Buffer.from(chunk.bytes).toString();
    }
    expect(text).toBe('early\nlate\n');
  });

  it('of a killed container is no longer held back by anyone', async () => {
    await using bench = await PodBench.open();
    bench.programs.set('flood', async (io) => {
      for (;;) await io.write('again\n');
    });
    const id = await bench.create({ Cmd: ['flood'] });
    await bench.containers.attach(id, outputOnly);
    await bench.start(id);

    await bench.containers.kill(id, 'KILL');

    expect(bench.containers.get(id).state.exitCode).toBe(137);
  });
});

describe('stdin', () => {
  it('with a terminal is left by the detach keys, and the container goes on', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'], Tty: true, OpenStdin: true });
    await bench.start(id);
    const session = await bench.containers.attach(id, { ...outputOnly, stdin: true });

    session.stdin?.write(Buffer.from([0x61, 16, 17]));

    await session.detached;
    expect(bench.containers.get(id).state.status).toBe('running');
    expect(await bench.eventActions()).toContain('detach');
  });
});

describe('an exec', () => {
  it('has its own output and exit code', async () => {
    await using bench = await PodBench.open();
    bench.programs.set('echo', async (io) => {
      await io.write(await io.readInput());
      return 4;
    });
    const id = await bench.create({ Cmd: ['sleep'], Env: ['A=1'] });
    await bench.start(id);
    const exec = { AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: ['echo'] };
    const execId = bench.containers.createExec(id, exec);

    const started = { detach: false, tty: false, consoleSize: null };
    const session = await bench.containers.startExec(execId, started);
    session?.stdin?.end('over here');
    let text = '';
    for await (const chunk of (session?.output ?? []) as AsyncIterable<OutputChunk>) {
      text += Buffer.from(chunk.bytes).toString();
    }

    expect(text).toBe('over here');
    expect(bench.containers.getExec(execId)).toMatchObject({ running: false, exitCode: 4 });
    await expect(bench.containers.startExec(execId, started)).rejects.toThrow(
      `Error: Exec command ${execId} has already run`,
    );
  });

  it('of a command that is not there has exit code 127', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] });
    await bench.start(id);
    const execId = bench.containers.createExec(id, { Cmd: ['nope'] });

    const started = bench.containers.startExec(execId, {
      ...{ detach: true, tty: false, consoleSize: null },
    });

    await expect(started).rejects.toThrow(
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown',
    );
    expect(bench.containers.getExec(execId).exitCode).toBe(127);
  });

  it('needs a container that runs and is not paused', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] });
    expect(() => bench.containers.createExec(id, { Cmd: ['true'] })).toThrow(
      `container ${id} is not running`,
    );
    await bench.start(id);
    await bench.containers.pause(id);

    expect(() => bench.containers.createExec(id, { Cmd: ['true'] })).toThrow(
      `Container ${id} is paused, unpause the container before exec`,
    );
  });
});

describe('detach keys', () => {
  it('are found across chunks, and what only looked like them is passed on', () => {
    const scanner = new DetachScanner(parseDetachKeys('ctrl-a,x'));

    expect(scanner.push(Uint8Array.of(1))).toEqual({ bytes: Uint8Array.of(), isDetached: false });
    expect(scanner.push(Uint8Array.of(2))).toEqual({
      bytes: Uint8Array.of(1, 2),
      isDetached: false,
    });
    expect(scanner.push(Uint8Array.of(1, 0x78)).isDetached).toBe(true);
  });

  it('that make no sense are refused', () => {
    expect(() => parseDetachKeys('ctrl-1')).toThrow('Invalid detach keys');
  });
});
