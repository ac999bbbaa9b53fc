import { HyperError } from '../base/error.ts';
import type { Vm } from '../hypervisor/driver.ts';
import type { AgentConnection } from './agent-connection.ts';
import type { PodContext } from './context.ts';
import { inPhase } from './phase.ts';
import type { ProcessExits } from './process-exits.ts';

/** Opens the agent session of a VM. A VM that dies meanwhile ends the wait at once. */
export async function openAgentSession(
  context: PodContext,
  vm: Vm,
  options: {
    readonly exits: ProcessExits;
    readonly signal: AbortSignal;
    /** Default: as long as a boot may take. */
    readonly withinMs?: number;
  },
): Promise<AgentConnection> {
  const { withinMs = context.deadlines.agentMs } = options;
  const gaveUp = new AbortController();
  const signal = AbortSignal.any([options.signal, gaveUp.signal]);
  const timer = setTimeout(() => {
    const seconds = String(Math.round(withinMs / 1000));
    gaveUp.abort(new HyperError('TIMEOUT', `no answer within ${seconds} s`));
  }, withinMs);
  void vm.exited.then((exit) => {
    const how = exit.reason === 'crashed' ? exit.detail : 'the VM powered off';
    gaveUp.abort(new HyperError('UNAVAILABLE', how));
  });
  try {
    return await inPhase(
      'waiting for the agent in the VM',
      async () => {
        try {
          const channel = await vm.connect('control', signal);
          const onEvent = options.exits.onEvent.bind(options.exits);
          const { sharedMemory } = vm;
          return await context.connectAgent(channel, { onEvent, signal, sharedMemory });
        } catch (thrown) {
          // Whatever broke, the reason why we gave up is the better story.
          signal.throwIfAborted();
          throw thrown;
        }
      },
      vm,
    );
  } finally {
    clearTimeout(timer);
  }
}
