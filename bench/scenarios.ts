import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { run } from '../hyperd/base/subprocess.ts';
import type { TestDaemon } from '../test/support/daemon.ts';
import type { Floor } from './floor.ts';
import { type Figure, formatSummary } from './report.ts';
import { summarize } from './statistics.ts';

const coldBar = 1.5;
const defaultMemoryMiB = 2048;
const defaultVcpus = 2;

interface Vm {
  readonly ContainerName: string;
  readonly Pid: number;
  readonly Timeline: Readonly<Record<string, number>>;
}

/** Cold `docker run --rm busybox true` against the floor, interleaved, and the phases of a start. */
export async function coldStart(
  daemon: TestDaemon,
  floor: Floor,
  runs: number,
): Promise<readonly Figure[]> {
  const cold: number[] = [];
  const floors: number[] = [];
  const phases = new Map<string, number[]>();
  for (let index = 0; index < runs; index++) {
    floors.push(await floor.measure(defaultMemoryMiB, defaultVcpus));
    cold.push(
      await timed(() => daemon.docker(['run', '--rm', '--network', 'none', 'busybox', 'true'])),
    );
    for (const [phase, ms] of Object.entries(await startTimeline(daemon))) {
      phases.set(phase, [...(phases.get(phase) ?? []), ms]);
    }
  }
  const ratio = summarize(cold).median / summarize(floors).median;
  return [
    { name: 'cold `docker run --rm busybox true`', value: formatSummary(summarize(cold), 'ms') },
    { name: 'floor: same VM, init powers off', value: formatSummary(summarize(floors), 'ms') },
    {
      name: 'cold ÷ floor',
      value: ratio.toFixed(2),
      bar: `≤ ${String(coldBar)}`,
      isMet: ratio <= coldBar,
    },
    ...[...phases].map(([phase, values]) => ({
      name: `phase ${phase}`,
      value: formatSummary(summarize(values), 'ms'),
    })),
  ];
}

async function startTimeline(daemon: TestDaemon): Promise<Readonly<Record<string, number>>> {
  await daemon.docker([
    'run',
    '-d',
    '--name',
    'bench',
    '--network',
    'none',
    'busybox',
    'sleep',
    '100',
  ]);
  const vms = await daemon.api.json<readonly Vm[]>('GET', '/hyper/vms');
  await daemon.docker(['rm', '-f', 'bench']);
  return vms.find((vm) => vm.ContainerName === 'bench')?.Timeline ?? {};
}

/** Memory of idle pods, as the host sees it. */
export async function memory(daemon: TestDaemon, pods: number): Promise<readonly Figure[]> {
  const names = Array.from({ length: pods }, (_, index) => `idle${String(index)}`);
  for (const name of names) {
    await daemon.docker([
      'run',
      '-d',
      '--name',
      name,
      '--network',
      'none',
      'busybox',
      'sleep',
      '1000',
    ]);
  }
  const guest = await daemon.docker(['exec', 'idle0', 'cat', '/proc/meminfo']);
  const field = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(guest.stdout)?.[1]);
  const usedMiB = (field('MemTotal') - field('MemAvailable')) / 1024;
  const vms = await daemon.api.json<readonly Vm[]>('GET', '/hyper/vms');
  const pss = await Promise.all(vms.map((vm) => proportionalMiB(vm.Pid)));
  await daemon.docker(['rm', '-f', ...names]);
  return [
    { name: 'memory used inside an idle guest', value: `${usedMiB.toFixed(0)} MiB` },
    { name: 'host memory (PSS) of an idle pod', value: formatSummary(summarize(pss), 'MiB') },
  ];
}

/** Bytes through stdin and stdout of `docker run -i busybox cat`. */
export async function stdio(daemon: TestDaemon, mebibytes: number): Promise<readonly Figure[]> {
  const script =
    `head -c ${String(mebibytes)}M /dev/zero | ` +
    'docker run -i --rm --network none --log-driver none busybox cat | wc -c';
  let received = 0;
  const milliseconds = await timed(async () => {
    received = Number((await daemon.command('sh', ['-c', script])).stdout);
  });
  const isWhole = received === mebibytes * 2 ** 20;
  const speed = mebibytes / (milliseconds / 1000);
  return [
    {
      name: `${String(mebibytes)} MiB through \`docker run -i busybox cat\``,
      value: `${speed.toFixed(1)} MiB/s${isWhole ? '' : `, but only ${String(received)} bytes came back`}`,
    },
    { name: 'peak memory of hyperd then', value: `${String(await daemon.peakMemoryMiB())} MiB` },
  ];
}

/** Load and conversion of a large image against plain unpacking of the same layers. */
export async function imageLoad(
  daemon: TestDaemon,
  archive: string,
  runs: number,
): Promise<readonly Figure[]> {
  const ours: number[] = [];
  const plain: number[] = [];
  for (let index = 0; index < runs; index++) {
    plain.push(await unpack(archive));
    ours.push(
      await timed(async () => {
        const upload = createReadStream(archive);
        for await (const _ of daemon.api.lines('POST', '/images/load', { upload }));
      }),
    );
    await daemon.docker(['rmi', '-f', 'postgres']);
  }
  const ratio = summarize(ours).median / summarize(plain).median;
  return [
    { name: 'load and convert postgres (143 MB)', value: formatSummary(summarize(ours), 'ms') },
    { name: '`gunzip | tar x` of its layers', value: formatSummary(summarize(plain), 'ms') },
    { name: 'load ÷ unpack', value: ratio.toFixed(2) },
  ];
}

async function unpack(archive: string): Promise<number> {
  const directory = await mkdtemp(path.join(tmpdir(), 'hyper-unpack-'));
  try {
    const script =
      'mkdir a b && tar xf "$1" -C a && ' +
      'for blob in a/blobs/sha256/*; do if gunzip -t "$blob" 2>/dev/null; then gunzip -c "$blob" | tar x -C b; fi; done';
    // Testing each blob costs a decompression; that is taken off again.
    const check = 'for blob in a/blobs/sha256/*; do gunzip -t "$blob" 2>/dev/null; done; true';
    const whole = await timed(() => run('sh', ['-c', script, 'sh', archive], { cwd: directory }));
    return whole - (await timed(() => run('sh', ['-c', check], { cwd: directory })));
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function proportionalMiB(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${String(pid)}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]) / 1024;
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return performance.now() - startedAt;
}
