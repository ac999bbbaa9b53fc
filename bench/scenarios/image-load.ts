import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import type { TestDaemon } from '../../test/support/daemon.ts';
import { docker } from '../docker.ts';
import { type Figure, figure } from '../report.ts';
import { summarizeRatio } from '../statistics.ts';
import { timed } from '../timed.ts';

/** Load and conversion of a large image, in turns with plain unpacking of the same layers. */
export async function imageLoad(
  daemon: TestDaemon,
  archive: string,
  runs: number,
): Promise<readonly Figure[]> {
  await using undo = new AsyncDisposableStack();
  const directory = await mkdtemp(path.join(tmpdir(), 'hyper-unpack-'));
  undo.defer(() => rm(directory, { recursive: true }));
  await run('tar', ['xf', archive, '-C', directory]);
  const layers = await readLayers(directory);
  const ours: number[] = [];
  const plain: number[] = [];
  for (let index = 0; index < runs; index++) {
    // Neither shall wait for what was written before.
    await run('sync', []);
    plain.push(await unpack(layers, path.join(directory, `root${String(index)}`)));
    await run('sync', []);
    ours.push(await timed(() => load(daemon, archive)));
    await docker(daemon, 'rmi', '-f', 'postgres');
  }
  const megabytes = (await stat(archive)).size / 1e6;
  return [
    figure(`load and convert postgres (${megabytes.toFixed(0)} MB)`, 'ms', ours),
    figure(
      '  throughput, compressed bytes',
      'MB/s',
      ours.map((ms) => megabytes / (ms / 1000)),
    ),
    figure('`gunzip | tar x` of its layers', 'ms', plain),
    {
      name: 'load ÷ unpack',
      unit: '',
      samples: ours.map((ms, index) => ms / (plain[index] ?? Number.NaN)),
      summary: summarizeRatio(ours, plain),
    },
  ];
}

async function load(daemon: TestDaemon, archive: string): Promise<void> {
  const upload = createReadStream(archive);
  const messages = daemon.api.lines<{ error?: string }>('POST', '/images/load', { upload });
  for await (const { error } of messages) if (error !== undefined) throw new Error(error);
}

async function readLayers(directory: string): Promise<readonly string[]> {
  const text = await readFile(path.join(directory, 'manifest.json'), 'utf8');
  const [image] = JSON.parse(text) as readonly { readonly Layers: readonly string[] }[];
  if (image === undefined) throw new Error('the archive holds no image');
  return image.Layers.map((layer) => path.join(directory, layer));
}

/** Milliseconds to decompress and unpack the layers one after another into a new folder. */
async function unpack(layers: readonly string[], target: string): Promise<number> {
  await mkdir(target);
  const script = 'set -o pipefail; for layer do gunzip -c "$layer" | tar x; done';
  const milliseconds = await timed(() =>
    run('bash', ['-e', '-c', script, 'unpack', ...layers], { cwd: target }),
  );
  await rm(target, { recursive: true });
  return milliseconds;
}
