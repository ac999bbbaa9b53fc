import type { AgentEvent, ProcessExit, ProcessRef } from '../../hyperstart/protocol/message.ts';

/**
 * The exits of a VM's processes. Only processes that were announced by `expect` count, so a hostile
 * guest cannot make us remember anything else.
 */
export class ProcessExits {
  readonly #expected = new Map<string, (exit: ProcessExit) => void>();
  readonly #oomKilled = new Set<string>();

  /** Call before the process is started. */
  expect(ref: ProcessRef): Promise<ProcessExit> {
    return new Promise((resolve) => this.#expected.set(keyOf(ref), resolve));
  }

  forget(ref: ProcessRef): void {
    this.#expected.delete(keyOf(ref));
  }

  onEvent(event: AgentEvent): void {
    if (event.event === 'exit') this.settle(event, event.exit);
    else if (event.event === 'oom') this.#tellOom(event.containerId);
  }

  settle(ref: ProcessRef, exit: ProcessExit): void {
    this.#expected.get(keyOf(ref))?.(exit);
    this.#expected.delete(keyOf(ref));
  }

  /** Whether some process of the container was killed for want of memory. */
  hadOom(containerId: string): boolean {
    return this.#oomKilled.has(containerId);
  }

  #tellOom(containerId: string): void {
    if (this.#expected.has(keyOf({ containerId, execId: null }))) this.#oomKilled.add(containerId);
  }
}

function keyOf({ containerId, execId }: ProcessRef): string {
  return `${containerId}/${execId ?? ''}`;
}
