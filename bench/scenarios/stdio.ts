import type { TestDaemon } from '../../test/support/daemon.ts';
import { type Figure, figure } from '../report.ts';
import { timed } from '../timed.ts';

/** Bytes through stdin and stdout of one container; the start of a container is taken off. */
export async function stdio(
  daemon: TestDaemon,
  mebibytes: number,
  runs: number,
): Promise<readonly Figure[]> {
  const peakBefore = await daemon.peakMemoryMiB();
  const walls: number[] = [];
  const speeds: number[] = [];
  for (let index = 0; index < runs; index++) {
    const empty = await pump(daemon, 0);
    const wall = await pump(daemon, mebibytes);
    walls.push(wall / 1000);
    speeds.push(mebibytes / ((wall - empty) / 1000));
  }
  return [
    figure(`${String(mebibytes)} MiB through \`docker run -i busybox cat\``, 's', walls),
    figure('  throughput, start taken off', 'MiB/s', speeds),
    figure('  peak memory (RSS) of hyperd before', 'MiB', [peakBefore]),
    figure('  peak memory (RSS) of hyperd after', 'MiB', [await daemon.peakMemoryMiB()]),
  ];
}

async function pump(daemon: TestDaemon, mebibytes: number): Promise<number> {
  const script =
    `head -c ${String(mebibytes)}M /dev/zero | ` +
    'docker run -i --rm --log-driver none busybox cat | wc -c';
  let received = '';
  const milliseconds = await timed(async () => {
    received = (await daemon.command('sh', ['-c', script])).stdout.trim();
  });
  if (received !== String(mebibytes * 2 ** 20)) {
    throw new Error(`of ${String(mebibytes)} MiB through cat, ${received} bytes came back`);
  }
  return milliseconds;
}
