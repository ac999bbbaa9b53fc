import { afterEach, describe, expect, it } from 'vitest';

import { TestDaemon } from '../support/daemon.ts';

const fileMiB = 96;
const smallKiB = 16 * 1024;

let daemon: TestDaemon;

afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
});

/** Page cache of the guest, in KiB. */
async function cachedKiB(): Promise<number> {
  const { stdout } = await daemon.docker(['exec', 'pod', 'grep', '^Cached:', '/proc/meminfo']);
  return Number(/\d+/.exec(stdout)?.[0]);
}

describe('a VM that is idle', () => {
  it('gives back what it has cached, and keeps its files', async () => {
    daemon = await TestDaemon.start(['busybox'], ['--trim-after', '5', '--pool-size', '0']);
    await daemon.docker(['run', '-d', '--name', 'pod', 'busybox', 'sleep', '1000']);
    const write = `dd if=/dev/urandom of=/file bs=1M count=${String(fileMiB)}; sync; md5sum /file`;
    const { stdout: sum } = await daemon.docker(['exec', 'pod', 'sh', '-c', write]);
    expect(await cachedKiB()).toBeGreaterThan(fileMiB * 1024);

    await expect.poll(cachedKiB, { interval: 8000, timeout: 60_000 }).toBeLessThan(smallKiB);

    const { stdout } = await daemon.docker(['exec', 'pod', 'md5sum', '/file']);
    expect(stdout).toBe(sum);
    expect(daemon.log).not.toContain('trimming an idle VM');
  });
});
