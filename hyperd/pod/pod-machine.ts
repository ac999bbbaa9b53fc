import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '../base/error.ts';
import type { Vm } from '../hypervisor/driver.ts';
import type { Endpoint } from '../network/network-manager.ts';
import type { AgentConnection } from './agent-connection.ts';
import type { Logger } from './context.ts';
import type { ProcessExits } from './process-exits.ts';
import type { MachineSize } from './spec/resources.ts';
import type { VmOrigin } from './warm/warm-vms.ts';

/** Serials by which the guest finds the disks of the container's rootfs. */
export interface MachineRootfs {
  /** Lowest first. */
  readonly layers: readonly string[];
  readonly writableDisk: string;
}

export interface PodMachineParts {
  readonly vm: Vm;
  readonly agent: AgentConnection;
  readonly exits: ProcessExits;
  readonly endpoint: Endpoint | null;
  readonly size: MachineSize;
  readonly origin: VmOrigin;
  /** null for a VM that was taken over: its container is started already. */
  readonly rootfs: MachineRootfs | null;
  /** By this the guest finds its NIC. */
  readonly deviceMacAddress: string;
  readonly kernelRelease: string;
  /** Ends the VM and everything on the host that came with it. */
  readonly resources: AsyncDisposableStack;
  readonly shutdownMs: number;
  readonly logger: Logger;
}

/** A guest whose agent hung up gets so long to be seen dying. */
const lossGraceMs = 3000;

/** A running VM with its agent and network endpoint: all that a pod holds while it runs. */
export class PodMachine {
  readonly vm: Vm;
  readonly agent: AgentConnection;
  readonly exits: ProcessExits;
  readonly endpoint: Endpoint | null;
  readonly size: MachineSize;
  readonly origin: VmOrigin;
  readonly rootfs: MachineRootfs | null;
  readonly deviceMacAddress: string;
  readonly kernelRelease: string;
  /** Settles with the reason when VM or agent are gone though nobody asked for it. */
  readonly lost: Promise<string>;
  readonly #parts: PodMachineParts;
  #isLettingGo = false;

  constructor(parts: PodMachineParts) {
    this.#parts = parts;
    this.vm = parts.vm;
    this.agent = parts.agent;
    this.exits = parts.exits;
    this.endpoint = parts.endpoint;
    this.size = parts.size;
    this.origin = parts.origin;
    this.rootfs = parts.rootfs;
    this.deviceMacAddress = parts.deviceMacAddress;
    this.kernelRelease = parts.kernelRelease;
    this.lost = this.#watch();
  }

  /** Shuts the guest down (its disks are clean then) or ends it at once, and frees the rest. Never rejects. */
  async end(options: { readonly graceful: boolean }): Promise<void> {
    const { agent, vm, shutdownMs, resources, logger } = this.#parts;
    this.#isLettingGo = true;
    if (options.graceful) {
      try {
        await agent.request('shutdown', {}, AbortSignal.timeout(shutdownMs));
        await vm.stop({ graceMs: shutdownMs });
      } catch (cause) {
        logger.warn({ pod: vm.id, err: cause }, 'the guest did not shut down, its VM is ended');
      }
    }
    try {
      await resources.disposeAsync();
    } catch (cause) {
      logger.error({ pod: vm.id, err: cause }, `ending a pod: ${messageOf(cause)}`);
    }
  }

  /** Leaves the VM to the next daemon. */
  letGo(): void {
    this.#isLettingGo = true;
    this.agent.close();
  }

  async #watch(): Promise<string> {
    const { vm, agent } = this.#parts;
    const first = await Promise.race([vm.exited, agent.closed.then(() => null)]);
    // The daemon's own doing is no loss: then this never settles.
    if (this.#isLettingGo) return new Promise(() => undefined);
    const exit = first ?? (await Promise.race([vm.exited, delay(lossGraceMs, null)]));
    if (exit === null) return 'the agent in the VM hung up';
    return exit.reason === 'crashed' ? exit.detail : 'the VM was powered off from within';
  }
}
