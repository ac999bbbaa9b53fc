/** Phases by name, in milliseconds. */
export type Timeline = Readonly<Record<string, number>>;

export type PhaseName =
  'prepare' | 'spawn' | 'monitor' | 'running' | 'boot' | 'network' | 'mounts' | 'process';

/**
 * The phases of a boot from a pod's timeline, whose values are durations. `boot` is from the running CPU
 * to the agent's hello.
 */
export function toPhases(timeline: Timeline): Readonly<Record<PhaseName, number>> {
  const of = (name: string): number => markOf(timeline, name);
  return {
    prepare: of('prepare'),
    spawn: of('spawn'),
    monitor: of('monitor'),
    running: of('running'),
    boot: of('kernel') + of('init') + of('agent'),
    network: of('network'),
    mounts: of('mounts'),
    process: of('process'),
  };
}

/** What the way from launch to hello is made of. */
export interface BootParts {
  /** QEMU's start, firmware, what the kernel does before its clock runs, and the hello's way to the host. */
  readonly outsideMs: number;
  readonly kernelMs: number;
  readonly agentMs: number;
}

/** Splits the time from launch to hello by the guest's marks, which count from its kernel's start. */
export function toBootParts(helloMs: number, bootTimeline: Timeline): BootParts {
  const kernelMs = markOf(bootTimeline, 'kernel');
  const channelMs = markOf(bootTimeline, 'channel');
  return { outsideMs: helloMs - channelMs, kernelMs, agentMs: channelMs - kernelMs };
}

function markOf(timeline: Timeline, name: string): number {
  const value = timeline[name];
  if (value === undefined) throw new Error(`the timeline has no ${name}`);
  return value;
}
