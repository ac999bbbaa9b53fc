import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { openDriver } from '../hyperd/hypervisor/registry.ts';
import { buildDemoImage } from '../images/build.ts';
import { ensureArtifacts } from '../setup/artifacts.ts';
import { cacheDirectory, root } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { TestDaemon } from '../test/support/daemon.ts';
import { Floor } from './floor.ts';
import { type Figure, toMarkdown, toText } from './report.ts';
import { coldStart, imageLoad, memory, stdio } from './scenarios.ts';

/** `npm run bench -- [--runs N] [--full] [--only cold|memory|stdio|load]`. */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const runs = Number(values.runs);
const stdioMiB = values.full ? 1024 : 128;

const artifacts = await ensureArtifacts();
process.env['HYPER_TEST_KERNEL'] = artifacts.kernelPath;
process.env['HYPER_TEST_INITRD'] = artifacts.initrdPath;
process.env['HYPER_TEST_MKFS_EROFS'] = artifacts.mkfsErofs;
await buildDemoImage('busybox', { cacheDirectory, onProgress: step });
const driver = await openDriver('qemu', {
  kernelPath: artifacts.kernelPath,
  stateFile: path.join(tmpdir(), 'hyper-bench-kvm.json'),
});
const figures: Figure[] = [];
{
  await using daemon = await TestDaemon.start(['busybox']);
  await using floor = await Floor.open(driver, artifacts.kernelPath);
  const scenarios = {
    cold: () => coldStart(daemon, floor, runs),
    memory: () => memory(daemon, 3),
    stdio: () => stdio(daemon, stdioMiB),
    load: async () =>
      imageLoad(
        daemon,
        await buildDemoImage('postgres', { cacheDirectory, onProgress: step }),
        Math.min(runs, 3),
      ),
  };
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (values.only !== undefined && values.only !== name) continue;
    step(`bench: ${name}`);
    figures.push(...(await scenario()));
  }
}

const kernel = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim();
const accelerator = driver.features.hardwareAccelerated ? 'KVM' : 'TCG';
const machine = `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? 'CPU'} × ${String(cpus().length)}, Linux ${kernel}, QEMU ${driver.version} (${accelerator}), Node ${process.versions.node}`;
const results = path.join(root, 'bench/results');
await mkdir(results, { recursive: true });
await writeFile(
  path.join(results, 'latest.json'),
  `${JSON.stringify({ machine, figures }, null, 2)}\n`,
);
await writeFile(path.join(results, 'latest.md'), `${machine}\n\n${toMarkdown(figures)}`);
process.stdout.write(
  `\n${machine}\n\n${toText(figures, process.stdout.isTTY && process.env['NO_COLOR'] === undefined)}`,
);
