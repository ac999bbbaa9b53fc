import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { spawnProcess } from '../../../../hyperd/base/subprocess.ts';
import type { Program } from '../../../support/fake-guest.ts';
import { PodBench } from '../../../support/pod-bench.ts';

/** A program that waits to be told its exit code, and says so in between. */
function controlled(): { readonly program: Program; readonly finish: (code: number) => void } {
  const { promise, resolve } = Promise.withResolvers<number>();
  const program: Program = async (io) => {
    await io.write('before\n');
    const code = await promise;
    await io.write('after\n');
    return code;
  };
  return { program, finish: resolve };
}

describe('the next daemon', () => {
  it('takes over a running container, its output and its end', async () => {
    await using bench = await PodBench.open();
    const { program, finish } = controlled();
    bench.programs.set('work', program);
    const id = await bench.create({ Cmd: ['work'] }, {}, 'web');
    await bench.start(id);
    await expect.poll(() => bench.logText(id)).toBe('before\n');

    await bench.restartDaemon();

    expect(bench.containers.get('web').state).toMatchObject({ status: 'running', pid: 4242 });
    expect(bench.driver.launched).toHaveLength(1);
    finish(7);
    expect(await bench.wait(id)).toBe(7);
    expect(await bench.logText(id)).toBe('before\nafter\n');
  });

  it('learns of an end that nobody saw', async () => {
    await using bench = await PodBench.open();
    const { program, finish } = controlled();
    bench.programs.set('work', program);
    const id = await bench.create({ Cmd: ['work'] });
    await bench.start(id);
    await bench.containers[Symbol.asyncDispose]();
    finish(9);

    await bench.restartDaemon();

    expect(await bench.wait(id)).toBe(9);
    expect(await bench.logText(id)).toContain('after');
  });

  it('settles a container whose VM died meanwhile, and clears up after it', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] });
    await bench.start(id);
    await bench.containers[Symbol.asyncDispose]();
    bench.driver.guest.end({ reason: 'crashed', detail: 'power cut' });

    await bench.restartDaemon();

    expect(bench.containers.get(id).state).toMatchObject({ status: 'exited', exitCode: 255 });
    expect((await bench.leftovers()).runs).toEqual([]);
    expect(await bench.start(id)).toBe(true);
  });

  it('removes what ended with AutoRemove, and what belongs to nobody', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] }, { AutoRemove: true });
    await bench.start(id);
    await bench.containers[Symbol.asyncDispose]();
    bench.driver.guest.end({ reason: 'stopped' });
    await mkdir(path.join(bench.directory, 'run', 'pods', 'stray'));
    await mkdir(path.join(bench.directory, 'data', 'containers', 'stray'));

    await bench.restartDaemon();

    await expect.poll(() => bench.containers.list()).toEqual([]);
    expect(await bench.leftovers()).toEqual({ runs: [], data: [] });
  });

  it('ends a hypervisor that the former one had not recorded yet', async () => {
    await using bench = await PodBench.open();
    const directory = path.join(bench.directory, 'run', 'pods', 'unrecorded');
    await mkdir(directory);
    const hypervisor = spawnProcess('sleep', ['60'], { cwd: directory, stdio: 'ignore' });
    const ended = once(hypervisor, 'exit');

    await bench.restartDaemon();

    expect(await ended).toEqual([null, 'SIGKILL']);
    expect((await bench.leftovers()).runs).toEqual([]);
  });

  it('keeps names, settings and exit codes of what does not run', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create(
      { Cmd: ['true'], Labels: { a: 'b' } },
      { Memory: 2 ** 26 },
      'web',
    );
    await bench.start(id);
    await bench.wait(id);
    const before = bench.containers.get(id);

    await bench.restartDaemon();

    expect(bench.containers.get('web')).toEqual(before);
  });

  it('starts again what always is to run', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] }, { RestartPolicy: { Name: 'always' } });
    await bench.start(id);
    await bench.containers[Symbol.asyncDispose]();
    bench.driver.guest.end({ reason: 'crashed', detail: 'power cut' });

    await bench.restartDaemon();

    await expect.poll(() => bench.containers.get(id).state.status).toBe('running');
    expect(bench.driver.launched).toHaveLength(2);
  });
});
