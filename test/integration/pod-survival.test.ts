import { createHash, randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { TestDaemon } from '../support/daemon.ts';

const containers = 10;
const patience = { timeout: 60_000, interval: 500 };
const count = 'i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done';

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await TestDaemon.start(['busybox'], ['--template', 'off']);
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

/** Numbers that are missing or come twice in a log of `line 1`, `line 2`, … */
function gaps(log: string): readonly string[] {
  return log
    .trimEnd()
    .split('\n')
    .filter((line, index) => line !== `line ${String(index + 1)}`);
}

describe('containers', () => {
  it('outlive a daemon that is killed, and lose no line of their output', async () => {
    const names = Array.from({ length: containers }, (_, index) => `counter${String(index)}`);
    for (const name of names) {
      const run = ['run', '-d', '-m', '32m', '--name', name, 'busybox', 'sh', '-c', count];
      expect(await daemon.docker(run)).toMatchObject({ code: 0 });
    }
    const before = await daemon.vmPids();

    await daemon.stopHyperd('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await daemon.startHyperd();

    const { stdout } = await daemon.docker(['ps', '--format', '{{.Names}}']);
    expect(stdout.trim().split('\n').sort()).toEqual(names);
    expect(await daemon.vmPids()).toEqual(before);
    for (const name of names) {
      const log = (await daemon.docker(['logs', name])).stdout;
      expect({ name, gaps: gaps(log), isLong: log.length > 200 }).toEqual({
        ...{ name, gaps: [], isLong: true },
      });
    }
    await daemon.docker(['rm', '-f', ...names]);
    expect(await daemon.leftovers()).toEqual([]);
  });

  it('end with their VM, and say so', async () => {
    await daemon.docker(['run', '-d', '-m', '32m', '--name', 'victim', 'busybox', 'sleep', '1000']);
    const [pid] = await daemon.vmPids();
    process.kill(pid ?? 0, 'SIGKILL');

    expect((await daemon.docker(['wait', 'victim'])).stdout).toBe('255\n');
    const format = '{{.State.Status}} {{.State.Error}}';
    const { stdout } = await daemon.docker(['inspect', '-f', format, 'victim']);
    expect(stdout).toContain('exited the VM of the container was lost');
    await daemon.docker(['rm', 'victim']);
    expect(await daemon.leftovers()).toEqual([]);
  });
});

describe('bulk output', () => {
  it('arrives whole', async () => {
    const script = 'seq 1 300000';
    const { stdout } = await daemon.docker(['run', '--rm', 'busybox', 'sh', '-c', script]);

    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(300_000);
    expect(lines.findIndex((line, index) => line !== String(index + 1))).toBe(-1);
  });

  it('loses nothing when the daemon is killed in its middle', async () => {
    const script = 'seq 1 300000; sleep 1000';
    const run = ['run', '-d', '-m', '32m', '--name', 'bulk', 'busybox', 'sh', '-c', script];
    await daemon.docker(run);
    await daemon.stopHyperd('SIGKILL');
    await daemon.startHyperd();
    let lines: readonly string[] = [];
    await expect
      .poll(async () => {
        lines = (await daemon.docker(['logs', 'bulk'])).stdout.trimEnd().split('\n');
        return lines.at(-1);
      }, patience)
      .toBe('300000');
    // What the killed daemon had written down, and could not acknowledge any more, comes twice.
    const distinct = [...new Set(lines)];
    expect(distinct).toHaveLength(300_000);
    expect(distinct.findIndex((line, index) => line !== String(index + 1))).toBe(-1);
    await daemon.docker(['rm', '-f', 'bulk']);
    expect(await daemon.leftovers()).toEqual([]);
  });

  it('and bulk input are whole', async () => {
    const bytes = randomBytes(20_000_000);
    const { stdout } = await daemon.docker(
      ['run', '--rm', '-i', 'busybox', 'sh', '-c', 'tee /tmp/bytes | sha256sum; base64 /tmp/bytes'],
      bytes,
    );
    const [hash = '', ...rest] = stdout.split('\n');
    expect(hash.split(' ')[0]).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(Buffer.from(rest.join(''), 'base64').equals(bytes)).toBe(true);
  });
});
