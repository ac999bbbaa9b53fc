import { describe, expect, it } from 'vitest';

import type { OutputChunk } from '../../../../hyperd/pod/container-service.ts';
import { PodBench } from '../../../support/pod-bench.ts';

const attachAll = {
  ...{ stdin: true, stdout: true, stderr: true },
  ...{ logs: false, stream: true, detachKeys: '' },
};

async function read(output: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of output as AsyncIterable<OutputChunk>) {
    text += Buffer.from(chunk.bytes).toString();
  }
  return text;
}

describe('a container', () => {
  it('is created, started, attached to, waited for and removed', async () => {
    await using bench = await PodBench.open();
    bench.programs.set('greet', async (io) => {
      await io.write('hello\n');
      await io.write('oops\n', 'stderr');
      return 3;
    });
    const id = await bench.create({ Cmd: ['greet'] }, {}, 'web');
    expect(bench.containers.get('web').state.status).toBe('created');
    const session = await bench.containers.attach('web', attachAll);
    const { exited } = bench.containers.wait(id, 'next-exit', AbortSignal.timeout(5000));

    expect(await bench.start('web')).toBe(true);

    expect(await exited).toEqual({ exitCode: 3, error: null });
    expect(await read(session.output)).toBe('hello\noops\n');
    expect(await bench.logText('web')).toBe('hello\noops\n');
    const { state } = bench.containers.get('web');
    expect(state).toMatchObject({ status: 'exited', exitCode: 3, pid: 0 });
    await bench.containers.remove('web', { force: false });
    expect(bench.containers.list()).toEqual([]);
    expect(await bench.leftovers()).toEqual({ runs: [], data: [] });
    expect(bench.driver.alive.size).toBe(0);
    expect(await bench.eventActions()).toEqual(['create', 'attach', 'start', 'die', 'destroy']);
  });

  it('tells how its last start went, also when it has ended and another daemon is there', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['true'] });
    expect(bench.containers.get(id).lastStart).toBeNull();
    const before = performance.now();

    await bench.start(id);

    const passed = performance.now() - before;
    await bench.wait(id);
    const { lastStart } = bench.containers.get(id);
    expect(lastStart?.origin).toBe('boot');
    const boot = ['prepare', 'spawn', 'kernel', 'init', 'agent'];
    const phases = [...boot, 'network', 'mounts', 'process', 'request'];
    expect(Object.keys(lastStart?.timeline ?? {})).toEqual(phases);
    const sum = Object.values(lastStart?.timeline ?? {}).reduce((total, ms) => total + ms, 0);
    expect(sum).toBeLessThanOrEqual(passed + phases.length * 0.05);
    await bench.restartDaemon();
    expect(bench.containers.get(id).lastStart).toEqual(lastStart);
  });

  it('gets its stdin, and its end when the only client has no more', async () => {
    await using bench = await PodBench.open();
    bench.programs.set('cat', async (io) => {
      await io.write(await io.readInput());
      return 0;
    });
    const id = await bench.create({ Cmd: ['cat'], OpenStdin: true, StdinOnce: true });
    const session = await bench.containers.attach(id, attachAll);
    session.stdin?.write('typed before the start\n');
    await bench.start(id);

    session.stdin?.end('and after\n');

    expect(await read(session.output)).toBe('typed before the start\nand after\n');
    expect(await bench.wait(id)).toBe(0);
  });

  it('with AutoRemove is gone when the wait for its removal ends', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['true'] }, { AutoRemove: true });
    const { exited } = bench.containers.wait(id, 'removed', AbortSignal.timeout(5000));

    await bench.start(id);

    expect(await exited).toEqual({ exitCode: 0, error: null });
    expect(() => bench.containers.get(id)).toThrow(`No such container: ${id}`);
    // Its VM and files go afterwards; the end of the service waits for that.
    await bench.containers[Symbol.asyncDispose]();
    expect(await bench.leftovers()).toEqual({ runs: [], data: [] });
  });

  it('answers a second start with false and runs once', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] });
    await bench.start(id);

    expect(await bench.start(id)).toBe(false);
    expect(bench.driver.launched).toHaveLength(1);
  });

  it('can be started again after its end, with the same disk', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['true'] });
    await bench.start(id);
    await bench.wait(id);

    await bench.start(id);
    await bench.wait(id);

    const disks = bench.driver.launched.map(({ devices }) => devices);
    expect(disks[0]).toEqual(disks[1]);
    expect(disks).toHaveLength(2);
  });

  it('is stopped by its own signal', async () => {
    await using bench = await PodBench.open();
    const polite = await bench.create({ Cmd: ['sleep'], StopSignal: 'SIGINT' });
    await bench.start(polite);
    expect(await bench.containers.stop(polite, { timeoutSeconds: null, signal: null })).toBe(true);
    expect(bench.containers.get(polite).state.exitCode).toBe(130);
    expect(await bench.containers.stop(polite, { timeoutSeconds: 0, signal: null })).toBe(false);
  });

  it('with AutoRemove is restarted, not removed', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] }, { AutoRemove: true });
    await bench.start(id);

    await bench.containers.restart(id, { timeoutSeconds: 1, signal: null });

    expect(bench.containers.get(id).state.status).toBe('running');
    expect(bench.driver.launched).toHaveLength(2);
    expect(await bench.eventActions()).toEqual([
      'create',
      'start',
      'kill',
      'die',
      'stop',
      'start',
      'restart',
    ]);
  });

  it('is removed while it runs only by force', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] }, {}, 'web');
    await bench.start(id);

    await expect(bench.containers.remove('web', { force: false })).rejects.toThrow(
      'cannot remove container "/web": container is running: stop the container before removing or force remove',
    );
    await bench.containers.remove('web', { force: true });

    expect(bench.containers.list()).toEqual([]);
    expect(bench.driver.alive.size).toBe(0);
  });

  it('refuses signals when it does not run', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['true'] }, {}, 'web');

    await expect(bench.containers.kill('web', 'TERM')).rejects.toThrow(
      `cannot kill container: web: container ${id} is not running`,
    );
    await expect(bench.containers.kill('web', 'NONSENSE')).rejects.toThrow(
      'invalid signal: NONSENSE',
    );
  });

  it('is paused and resumed', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] });
    await bench.start(id);

    await bench.containers.pause(id);
    expect(bench.containers.get(id).state.status).toBe('paused');
    await expect(bench.containers.pause(id)).rejects.toThrow(`Container ${id} is already paused`);
    await expect(bench.start(id)).rejects.toThrow(
      'cannot start a paused container, try unpause instead',
    );
    await bench.containers.unpause(id);

    expect(bench.containers.get(id).state.status).toBe('running');
  });

  it('keeps its name to itself', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({}, {}, 'web');

    await expect(bench.create({}, {}, 'web')).rejects.toThrow(
      `Conflict. The container name "/web" is already in use by container "${id}".`,
    );
    await bench.containers.rename('web', 'shop');
    await bench.create({}, {}, 'web');

    expect(bench.containers.get('/shop').id).toBe(id);
    expect(bench.containers.get(id.slice(0, 12)).name).toBe('shop');
    expect((await bench.leftovers()).data).toHaveLength(2);
  });
});
