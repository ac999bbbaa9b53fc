import { randomBytes } from 'node:crypto';

import type { TemplateVmConfig, Vm } from '../../hypervisor/driver.ts';
import type { PreparedTap } from '../../network/network-manager.ts';
import type { AgentConnection } from '../agent-connection.ts';
import { openAgentSession } from '../agent-session.ts';
import type { PodContext } from '../context.ts';
import { PhaseClock, spansOf, type Timeline } from '../phase-clock.ts';
import { ProcessExits } from '../process-exits.ts';
import { makeRunDirectory } from '../run-directory.ts';
import type { Template } from './template.ts';
import { blankNic } from './template.ts';

/** A VM whose agent answers and that belongs to no pod yet: no disk, no address, no identity. */
export interface BlankVm {
  readonly vm: Vm;
  readonly agent: AgentConnection;
  readonly exits: ProcessExits;
  readonly tap: PreparedTap | null;
  readonly template: Template;
  /** How it was cloned. */
  readonly timeline: Timeline;
  /** Ends the VM and all that came with it. */
  readonly resources: AsyncDisposableStack;
}

/** One of the ways to start a VM that is blank. */
export type LaunchVm = (config: TemplateVmConfig, signal: AbortSignal) => Promise<Vm>;

/** Starts a VM of a template's and connects to its agent. On failure or abort nothing is left behind. */
export async function launchBlank(
  context: PodContext,
  template: Template,
  { launch, signal }: { readonly launch: LaunchVm; readonly signal: AbortSignal },
): Promise<BlankVm> {
  const { network } = context;
  await using undo = new AsyncDisposableStack();
  const clock = new PhaseClock();
  const id = randomBytes(32).toString('hex');
  const runDirectory = await makeRunDirectory(context, id, undo);
  const { shape, files } = template;
  const tap = shape.hasNic && network !== null ? undo.use(await network.prepareTap()) : null;
  const nic = tap === null ? null : blankNic(tap);
  const config = { ...files, id, runDirectory, shape, nic };
  clock.end('prepare');
  const vm = undo.use(await launch(config, signal));
  const exits = new ProcessExits();
  const agent = await openAgentSession(context, vm, {
    ...{ exits, signal },
    withinMs: context.deadlines.cloneMs,
  });
  undo.defer(() => {
    agent.close();
  });
  clock.end('agent', spansOf(vm.timeline));
  const { timeline } = clock;
  return { vm, agent, exits, tap, template, timeline, resources: undo.move() };
}
