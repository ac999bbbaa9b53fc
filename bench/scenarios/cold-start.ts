import type { TestDaemon } from '../../test/support/daemon.ts';
import { type AgentReady, measureAgentReady } from '../agent-ready.ts';
import { docker, vmOf, type VmSummary } from '../docker.ts';
import type { Floor } from '../floor.ts';
import type { HypervisorDriver } from '../../hyperd/hypervisor/driver.ts';
import { type Life, readLife } from '../life.ts';
import { type PhaseName, toPhases } from '../phases.ts';
import { type Figure, figure } from '../report.ts';
import { summarizeRatio } from '../statistics.ts';
import { timed } from '../timed.ts';

const bar = 1.5;

export interface ColdStartOptions {
  readonly daemon: TestDaemon;
  readonly driver: HypervisorDriver;
  readonly floor: Floor;
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly runs: number;
}

interface Run extends Life {
  readonly wall: number;
  readonly floor: number;
  readonly phases: Readonly<Record<PhaseName, number>>;
  readonly ready: AgentReady;
}

/**
 * Cold `docker run --rm busybox true`, its floor, a bare boot to the agent's hello and a start whose
 * phases can still be asked for: in turns, since the machine's other load changes with time.
 */
export async function coldStart(options: ColdStartOptions): Promise<readonly Figure[]> {
  const size = await machineSize(options.daemon);
  const runs: Run[] = [];
  for (let index = 0; index < options.runs; index++) {
    runs.push(await measureOnce(options, size, `cold${String(index)}`));
  }
  return toFigures(runs);
}

/** The VM that a container without options gets; this start also warms the page cache. */
async function machineSize(daemon: TestDaemon): Promise<VmSummary> {
  await docker(daemon, 'run', '-d', '--name', 'size', 'busybox', 'sleep', '1000');
  const vm = await vmOf(daemon, 'size');
  await docker(daemon, 'rm', '-f', 'size');
  return vm;
}

async function measureOnce(
  options: ColdStartOptions,
  { MemoryMiB: memoryMiB, Vcpus: vcpus }: VmSummary,
  name: string,
): Promise<Run> {
  const { daemon, driver, kernelPath, initrdPath } = options;
  const floor = await options.floor.measure(memoryMiB, vcpus);
  const since = Date.now();
  const wall = await timed(() => docker(daemon, 'run', '--rm', '--name', name, 'busybox', 'true'));
  const life = await readLife(daemon, name, since);
  const ready = await measureAgentReady(driver, { kernelPath, initrdPath, memoryMiB, vcpus });
  await docker(daemon, 'run', '-d', '--name', name, 'busybox', 'sleep', '1000');
  const phases = toPhases((await vmOf(daemon, name)).Timeline);
  await docker(daemon, 'rm', '-f', name);
  return { wall, floor, phases, ready, ...life };
}

function toFigures(runs: readonly Run[]): readonly Figure[] {
  const of = (name: string, pick: (run: Run) => number): Figure =>
    figure(name, 'ms', runs.map(pick));
  const walls = runs.map(({ wall }) => wall);
  const floors = runs.map((run) => run.floor);
  const ratios = walls.map((wall, index) => wall / (floors[index] ?? Number.NaN));
  const phase = (name: PhaseName): Figure => of(`  phase ${name}`, ({ phases }) => phases[name]);
  return [
    of('cold `docker run --rm busybox true`', ({ wall }) => wall),
    of('floor: same QEMU and kernel, init powers off', (run) => run.floor),
    {
      name: 'cold ÷ floor',
      unit: '',
      samples: ratios,
      summary: summarizeRatio(walls, floors),
      bar,
    },
    of('  docker CLI, create, attach', (run) => run.wall - run.start - run.run - run.teardown),
    ...(['prepare', 'spawn', 'monitor', 'running', 'boot'] as const).map(phase),
    ...(['network', 'mounts', 'process'] as const).map(phase),
    of('  whole start (create to start)', ({ start }) => start),
    of('  run (start to exit)', ({ run }) => run),
    of('  teardown (exit to removal)', ({ teardown }) => teardown),
    of('bare VM to agent ready', ({ ready }) => ready.helloMs),
    of('  bare VM: QEMU, firmware, early kernel', ({ ready }) => ready.outsideMs),
    of('  bare VM: kernel', ({ ready }) => ready.kernelMs),
    of('  bare VM: agent', ({ ready }) => ready.agentMs),
    figure(
      'guest memory used at agent ready',
      'MiB',
      runs.map(({ ready }) => ready.usedKiB / 1024),
    ),
  ];
}
