import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { WarmBench } from '../../../../support/warm-bench.ts';

const mebibyte = 1024 * 1024;
const memory = (mib: number) => ({ Memory: mib * mebibyte });
const diffIds = (count: number) =>
  Array.from({ length: count }, (_, index) => `sha256:${String(index).repeat(64)}`);

describe('templates', () => {
  it('are made while the first container is booted, and later ones are clones', async () => {
    const gate = Promise.withResolvers<undefined>();
    await using bench = await WarmBench.open({}, ({ templates }) => {
      templates.gate = gate.promise;
    });
    expect(await bench.start()).toBe('boot');
    expect(bench.pods.driver.launched).toHaveLength(1);

    gate.resolve(undefined);
    await bench.untilMade(1);

    expect(await bench.start()).toBe('template');
    expect(await bench.start()).toBe('template');
    expect(bench.pods.driver.launched).toHaveLength(1);
    expect(bench.templates.made).toHaveLength(1);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('rehearse a container of hyperstart’s own and take nothing of it along', async () => {
    const starts: unknown[] = [];
    await using bench = await WarmBench.open({}, ({ pods }) => {
      const { prepare } = pods.driver;
      pods.driver.prepare = (guest) => {
        prepare(guest);
        void guest.exited.then(() => starts.push(guest.requests.map(({ method }) => method)));
      };
    });
    await bench.untilMade(1);

    expect(starts).toEqual([['park', 'start', 'release', 'park']]);
    expect(bench.pods.driver.alive.size).toBe(0);
    expect((await bench.pods.leftovers()).runs).toEqual([]);
    const rehearsal = path.join(bench.pods.directory, 'data', 'rehearsal');
    expect(await readdir(rehearsal)).toEqual(['layer.erofs']);
  });

  it('tell the guest the slots in which the disks of the container are', async () => {
    await using bench = await WarmBench.open();
    bench.pods.images.add('two:latest', { diffIds: diffIds(2) });
    await bench.untilMade(1);

    expect(await bench.start({}, 'two')).toBe('template');

    const { lastStart } = bench.pods.driver.guest;
    expect(lastStart?.container.rootfs).toMatchObject({ layers: ['r0', 'r1'], writableDisk: 'w0' });
  });

  it('are made of another shape when it was asked for twice', async () => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    expect(await bench.start(memory(256))).toBe('boot');
    expect(bench.templates.made).toHaveLength(1);

    expect(await bench.start(memory(256))).toBe('boot');
    await bench.untilMade(2);

    expect(await bench.start(memory(256))).toBe('template');
    expect(await bench.start(memory(300))).toBe('boot');
  });

  it('of unusual shapes are at most three, and the usual one stays', async () => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    for (const [index, mib] of [200, 250, 300, 350].entries()) {
      await bench.start(memory(mib));
      await bench.start(memory(mib));
      await bench.untilMade(index + 2);
    }

    expect(await bench.templateNames()).toHaveLength(4);
    expect(await bench.start(memory(200))).toBe('boot');
    expect(await bench.start(memory(350))).toBe('template');
    expect(await bench.start()).toBe('template');
  });

  it('have room for so many layers; an image with more is booted', async () => {
    await using bench = await WarmBench.open();
    bench.pods.images.add('three:latest', { diffIds: diffIds(3) });
    await bench.untilMade(1);

    expect(await bench.start({}, 'three')).toBe('boot');
    expect(await bench.start()).toBe('template');
    expect(bench.pods.warnings).toEqual([]);
  });

  it('are discarded when a clone does not start, and its container is booted', async () => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    bench.templates.cloneFailure = new Error('bad state');

    expect(await bench.start()).toBe('boot');

    expect(bench.pods.warnings).toHaveLength(1);
    expect(bench.pods.warnings[0]).toContain(
      'a clone did not start, so its VM is booted: bad state',
    );
    expect(await bench.templateNames()).toEqual([]);
    expect((await bench.pods.leftovers()).runs).toHaveLength(1);
    // Not made anew at once: it would fail as often as containers start.
    expect(await bench.start()).toBe('boot');
    expect(bench.templates.made).toHaveLength(1);
  });

  it('whose clone stays silent are left for a boot sooner than a boot would be given up', async () => {
    await using bench = await WarmBench.open({}, ({ pods }) => {
      pods.deadlines = { cloneMs: 50 };
    });
    await bench.untilMade(1);
    const { driver } = bench.pods;
    const { prepare } = driver;
    driver.prepare = (guest) => {
      guest.isSilent = true;
      driver.prepare = prepare;
    };

    expect(await bench.start()).toBe('boot');

    expect(bench.pods.warnings[0]).toContain(
      'a clone did not start, so its VM is booted: waiting for the agent in the VM: no answer within 0 s',
    );
    expect(driver.alive.size).toBe(1);
  });

  it('that cannot be made are told of once, and containers are booted', async () => {
    await using bench = await WarmBench.open({}, ({ pods }) => {
      pods.programs.set('rehearsal', () => Promise.resolve(7));
    });
    await expect.poll(() => bench.pods.warnings).toHaveLength(1);
    expect(bench.pods.warnings[0]).toMatch(
      /^no template for VMs of \S+, they are booted: its process ended with exit code 7 /,
    );
    expect(await bench.templateNames()).toEqual([]);
    expect((await bench.pods.leftovers()).runs).toEqual([]);

    expect(await bench.start()).toBe('boot');
    expect(await bench.start()).toBe('boot');
    expect(bench.pods.warnings).toHaveLength(1);
  });

  it('are not made where they are switched off', async () => {
    await using bench = await WarmBench.open({ templates: false });
    expect(await bench.start()).toBe('boot');
    expect(await bench.start()).toBe('boot');
    expect(bench.templates.made).toEqual([]);
    expect(bench.pods.warnings).toEqual([]);
  });

  it('are given up with a warning where their memory cannot be mounted', async () => {
    const openMemory = () => Promise.reject(new Error('mount: permission denied'));
    await using bench = await WarmBench.open({ openMemory });
    expect(bench.pods.warnings[0]).toMatch(/^every VM is booted: mount: permission denied/);
    expect(await bench.start()).toBe('boot');
  });

  it('leave nothing of a clone behind when its container has ended', async () => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    const id = await bench.pods.create({ Cmd: ['true'] });
    await bench.pods.start(id);
    await bench.pods.wait(id);

    await expect.poll(() => bench.pods.driver.alive.size).toBe(0);
    await expect.poll(async () => (await bench.pods.leftovers()).runs).toEqual([]);
    expect(bench.vms).toEqual([]);
  });
});

describe('templates of a former daemon', () => {
  it('are used when it was killed', async () => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    bench.keepsMounts = true;

    await bench.pods.restartDaemon();

    expect(await bench.start()).toBe('template');
    expect(bench.templates.made).toHaveLength(1);
  });

  it.each([
    ['hypervisor', (bench: WarmBench) => Promise.resolve((bench.templates.key = 'fake-2'))],
    ['kernel', (bench: WarmBench) => writeFile(bench.pods.kernelPath, 'another kernel')],
  ])('that were made from another %s are removed', async (_what, change) => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    const former = await bench.templateNames();
    bench.keepsMounts = true;
    await change(bench);

    await bench.pods.restartDaemon();
    await bench.untilMade(2);

    const names = await bench.templateNames();
    expect(names).toHaveLength(1);
    expect(names).not.toEqual(former);
    expect(await bench.start()).toBe('template');
  });

  it('that are half-made are removed', async () => {
    await using bench = await WarmBench.open({}, async ({ shared }) => {
      await mkdir(path.join(shared, 'half'), { recursive: true });
      await writeFile(path.join(shared, 'half', 'memory'), 'memory');
      await mkdir(path.join(shared, 'broken'));
      await writeFile(path.join(shared, 'broken', 'template.json'), '{');
    });
    await bench.untilMade(1);
    expect(await bench.templateNames()).toHaveLength(1);
  });

  it('are one of a shape: of two the newer one stays', async () => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    const [made = ''] = await bench.templateNames();
    const manifest = path.join(bench.shared, made, 'template.json');
    const text = await readFile(manifest, 'utf8');
    await cp(path.join(bench.shared, made), path.join(bench.shared, '0-newer'), {
      recursive: true,
    });
    const newer = { ...(JSON.parse(text) as object), madeUnixMs: Date.now() + 1000 };
    await writeFile(path.join(bench.shared, '0-newer', 'template.json'), JSON.stringify(newer));
    bench.keepsMounts = true;

    await bench.pods.restartDaemon();

    expect(await bench.templateNames()).toEqual(['0-newer']);
    expect(await bench.start()).toBe('template');
  });

  it('leave their clones to the next one', async () => {
    await using bench = await WarmBench.open();
    await bench.untilMade(1);
    const id = await bench.pods.create({ Cmd: ['sleep'] });
    await bench.pods.start(id);

    await bench.pods.restartDaemon();

    expect(bench.pods.containers.get(id).state.status).toBe('running');
    expect(bench.originOf(id)).toBe('template');
    await bench.pods.containers.kill(id, 'SIGKILL');
    await bench.pods.wait(id);
    // The second daemon's own template.
    await bench.untilMade(2);
    await expect.poll(async () => (await bench.pods.leftovers()).runs).toEqual([]);
  });
});
