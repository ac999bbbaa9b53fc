import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { messageOf } from '../hyperd/base/error.ts';
import { openDriver } from '../hyperd/hypervisor/registry.ts';
import { buildDemoImage } from '../images/build.ts';
import { ensureArtifacts } from '../setup/artifacts.ts';
import { cacheDirectory, root } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { TestDaemon } from '../test/support/daemon.ts';
import { Floor } from './floor.ts';
import { currentLoad, describeMachine, formatMachine, type Machine } from './machine.ts';
import { type BenchOptions, parseOptions, type ScenarioName, usage } from './options.ts';
import { type Figure, isMet, toMarkdown, toText } from './report.ts';
import { coldStart } from './scenarios/cold-start.ts';
import { idleMemory } from './scenarios/idle-memory.ts';
import { imageLoad } from './scenarios/image-load.ts';
import { stdio } from './scenarios/stdio.ts';

/** `npm run bench`: measures what docs/benchmarks.md shows, each scenario with a daemon of its own. */
const options = readOptions();
if (options !== null) {
  const loadAverage = currentLoad();
  const scenarios = await openScenarios(options);
  const figures: Figure[] = [];
  let machine: Machine | null = null;
  for (const name of options.scenarios) {
    step(`bench: ${name}`);
    await using daemon = await TestDaemon.start(['busybox']);
    machine ??= await describeMachine(daemon, root, loadAverage);
    figures.push(...(await scenarios[name](daemon)));
  }
  if (machine !== null) await report(machine, figures);
}

function readOptions(): BenchOptions | null {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`bench: ${messageOf(thrown)}\n\n${usage}`);
    process.exitCode = 2;
    return null;
  }
}

type Scenarios = Readonly<Record<ScenarioName, (daemon: TestDaemon) => Promise<readonly Figure[]>>>;

async function openScenarios({ runs, stdioMiB }: BenchOptions): Promise<Scenarios> {
  const { kernelPath, initrdPath, mkfsErofs } = await ensureArtifacts();
  // TestDaemon takes them from here.
  process.env['HYPER_TEST_KERNEL'] = kernelPath;
  process.env['HYPER_TEST_INITRD'] = initrdPath;
  process.env['HYPER_TEST_MKFS_EROFS'] = mkfsErofs;
  const imageOptions = { cacheDirectory, onProgress: step };
  await buildDemoImage('busybox', imageOptions);
  const fewRuns = Math.min(runs, 3);
  return {
    cold: async (daemon) => {
      await using undo = new AsyncDisposableStack();
      const scratch = await mkdtemp(path.join(tmpdir(), 'hyper-bench-'));
      undo.defer(() => rm(scratch, { recursive: true }));
      const stateFile = path.join(scratch, 'kvm.json');
      const driver = await openDriver('qemu', { kernelPath, stateFile });
      const floor = undo.use(await Floor.open(driver, kernelPath));
      return await coldStart({ daemon, driver, floor, kernelPath, initrdPath, runs });
    },
    memory: (daemon) => idleMemory(daemon, 3),
    stdio: (daemon) => stdio(daemon, stdioMiB, stdioMiB > 256 ? 1 : fewRuns),
    load: async (daemon) =>
      imageLoad(daemon, await buildDemoImage('postgres', imageOptions), fewRuns),
  };
}

async function report(machine: Machine, figures: readonly Figure[]): Promise<void> {
  const results = path.join(root, 'bench/results');
  await mkdir(results, { recursive: true });
  const head = formatMachine(machine);
  await writeFile(
    path.join(results, 'latest.json'),
    `${JSON.stringify({ machine, figures }, null, 2)}\n`,
  );
  await writeFile(path.join(results, 'latest.md'), `${head}\n\n${toMarkdown(figures)}`);
  // https://no-color.org: any value but the empty one.
  const isColored = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  process.stdout.write(`\n${head}\n\n${toText(figures, isColored)}`);
  const missed = figures.filter((one) => !isMet(one)).length;
  if (missed > 0) process.stdout.write(`\n${String(missed)} bar(s) missed\n`);
}
