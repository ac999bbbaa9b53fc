import { describe, expect, it } from 'vitest';

import { HyperError } from '../../../../hyperd/base/error.ts';
import { PodBench } from '../../../support/pod-bench.ts';

const nothing = { runs: [], data: [] };

describe('a start that fails', () => {
  it('for a command that is not there has exit code 127 and Docker’s message', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['nope'] });

    await expect(bench.start(id)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message:
        'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "nope": executable file not found in $PATH: unknown',
    });

    const { state } = bench.containers.get(id);
    expect(state).toMatchObject({ status: 'created', exitCode: 127 });
    expect(state.error).toContain('executable file not found in $PATH');
    expect((await bench.leftovers()).runs).toEqual([]);
    expect(bench.driver.alive.size).toBe(0);
  });

  it('in the hypervisor tells the phase and leaves nothing', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['true'] });
    bench.driver.launchFailure = new HyperError('UNAVAILABLE', 'qemu: not installed');

    await expect(bench.start(id)).rejects.toThrow('starting the VM: qemu: not installed');

    expect(bench.containers.get(id).state).toMatchObject({ status: 'created', exitCode: 128 });
    expect((await bench.leftovers()).runs).toEqual([]);
  });

  it('for a silent agent ends at the deadline with the last console lines', async () => {
    await using bench = await PodBench.open({ agentMs: 50 });
    bench.driver.prepare = (guest) => {
      guest.isSilent = true;
    };
    const id = await bench.create({ Cmd: ['true'] });

    await expect(bench.start(id)).rejects.toThrow(
      /waiting for the agent in the VM: no answer within .*\n.*Linux version 6\.12/,
    );

    expect(bench.driver.alive.size).toBe(0);
    expect((await bench.leftovers()).runs).toEqual([]);
  });

  it('for a VM that dies while booting says so at once', async () => {
    await using bench = await PodBench.open();
    bench.driver.prepare = (guest) => {
      guest.isSilent = true;
      setImmediate(() => {
        guest.end({ reason: 'crashed', detail: 'kernel panic' });
      });
    };
    const id = await bench.create({ Cmd: ['true'] });

    await expect(bench.start(id)).rejects.toThrow(
      'waiting for the agent in the VM: kernel panic; last console lines:',
    );
    expect((await bench.leftovers()).runs).toEqual([]);
  });

  it('removes a container with AutoRemove', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['nope'] }, { AutoRemove: true });

    await expect(bench.start(id)).rejects.toThrow('executable file not found');

    expect(bench.containers.list()).toEqual([]);
    expect(await bench.leftovers()).toEqual(nothing);
  });

  it('can be cut by a removal by force', async () => {
    await using bench = await PodBench.open();
    bench.driver.prepare = (guest) => {
      guest.isSilent = true;
    };
    const id = await bench.create({ Cmd: ['true'] });
    const started = bench.start(id);
    started.catch(() => undefined);
    await bench.containers.remove(id, { force: true });

    await expect(started).rejects.toThrow('the start was cancelled');
    expect(await bench.leftovers()).toEqual(nothing);
  });
});

describe('a create that is refused', () => {
  it.each([
    [{ Image: 'absent' }, {}, 'No such image: absent'],
    [{ Cmd: ['x'] }, { Memory: 1024 }, 'Minimum memory limit allowed is 6MB'],
    [{}, { SecurityOpt: ['foo'] }, 'invalid --security-opt 1: "foo"'],
    [{}, { SecurityOpt: ['seccomp={'] }, 'seccomp profile'],
    [{}, { LogConfig: { Type: 'syslog' } }, "no log driver named 'syslog' is registered"],
    [{}, { CapAdd: ['FLY'] }, 'invalid CapAdd: unknown capability: "CAP_FLY"'],
    [{ WorkingDir: 'here' }, {}, "the working directory 'here' is invalid"],
  ] as const)('%j %j: %s', async (config, hostConfig, message) => {
    await using bench = await PodBench.open();

    await expect(bench.create(config, hostConfig)).rejects.toThrow(message);

    expect(bench.containers.list()).toEqual([]);
    expect(await bench.leftovers()).toEqual(nothing);
  });

  it('for its name tells which ones are allowed', async () => {
    await using bench = await PodBench.open();

    await expect(bench.create({}, {}, 'no spaces')).rejects.toThrow(
      'Invalid container name (no spaces), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed',
    );
  });
});

describe('the end of a container', () => {
  it('with its VM has exit code 255 and the console’s last lines', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] });
    await bench.start(id);

    bench.driver.guest.end({ reason: 'crashed', detail: 'kernel panic' });

    expect(await bench.wait(id)).toBe(255);
    const { state } = bench.containers.get(id);
    expect(state.error).toContain('the VM of the container was lost: kernel panic');
    expect(state.error).toContain('hyperstart: hello');
  });

  it('for want of memory is told as such', async () => {
    await using bench = await PodBench.open();
    const id = await bench.create({ Cmd: ['sleep'] });
    await bench.start(id);
    bench.driver.guest.isOom = true;

    await bench.containers.kill(id, 'KILL');

    expect(bench.containers.get(id).state).toMatchObject({ exitCode: 137, oomKilled: true });
    expect(await bench.eventActions()).toContain('oom');
  });

  it('comes by the end of its VM when the guest does not obey', async () => {
    await using bench = await PodBench.open({ killMs: 20 });
    const id = await bench.create({ Cmd: ['sleep'] });
    await bench.start(id);
    bench.driver.guest.failures.set('signal', new HyperError('TIMEOUT', 'no answer'));

    await bench.containers.stop(id, { timeoutSeconds: 0, signal: null });

    expect(bench.containers.get(id).state).toMatchObject({ exitCode: 137, error: '' });
    expect(bench.driver.alive.size).toBe(0);
  });

  it('leads to a new life by the restart policy, until it is stopped', async () => {
    await using bench = await PodBench.open();
    let lives = 0;
    bench.programs.set('flaky', () => {
      lives += 1;
      return lives < 3 ? Promise.resolve(1) : new Promise(() => undefined);
    });
    const id = await bench.create(
      { Cmd: ['flaky'] },
      { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 5 } },
    );
    await bench.start(id);

    await expect.poll(() => lives, { timeout: 5000 }).toBe(3);
    await expect.poll(() => bench.containers.get(id).state.status).toBe('running');
    expect(bench.containers.get(id).restartCount).toBe(2);
    await bench.containers.stop(id, { timeoutSeconds: 1, signal: null });

    expect(bench.containers.get(id).state.status).toBe('exited');
  });
});
