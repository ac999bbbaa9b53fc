/** Marks of a start, as hyperd tells them: see the keys below. */
export type Timeline = Readonly<Record<string, number>>;

/** Marks that follow one another, counted from one moment each. */
const chains: readonly (readonly string[])[] = [
  // From the launch of the VM.
  ['spawn', 'monitor', 'running'],
  // From the request to the agent.
  ['network', 'mounts', 'process'],
];

/**
 * How long each phase took, from marks that say when it ended. `prepare` comes before the launch;
 * `boot` is from the running CPU to the agent's hello, which is counted from before `prepare`.
 */
export function toPhases(timeline: Timeline): ReadonlyMap<string, number> {
  const mark = (name: string): number => {
    const value = timeline[name];
    if (value === undefined) throw new Error(`the timeline has no ${name}`);
    return value;
  };
  const durations = (chain: readonly string[]): [string, number][] =>
    chain.map((name, index) => {
      const earlier = chain[index - 1];
      return [name, mark(name) - (earlier === undefined ? 0 : mark(earlier))];
    });
  const [launch = [], start = []] = chains.map(durations);
  const boot = mark('agent') - mark('prepare') - mark('running');
  return new Map([['prepare', mark('prepare')], ...launch, ['boot', boot], ...start]);
}

/** What `boot` is made of, by the guest's own clock. */
export interface BootParts {
  /** Firmware and what the kernel does before its clock runs, and the way of the hello to the host. */
  readonly firmwareMs: number;
  readonly kernelMs: number;
  readonly agentMs: number;
}

/** Splits the time from launch to hello by the marks of the guest, which count from its kernel's start. */
export function toBootParts(helloMs: number, bootTimeline: Timeline): BootParts {
  const { mounts, channel } = bootTimeline;
  if (mounts === undefined || channel === undefined) {
    throw new Error(`the guest's boot timeline has only ${Object.keys(bootTimeline).join(', ')}`);
  }
  return { firmwareMs: helloMs - channel, kernelMs: mounts, agentMs: channel - mounts };
}
