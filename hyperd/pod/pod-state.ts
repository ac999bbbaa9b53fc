import type { PodMachine } from './pod-machine.ts';

/** A pod's VM through its life; the machine exists only where there is one. */
export type PodState =
  | { readonly status: 'idle' | 'booting' }
  | { readonly status: 'running'; readonly machine: PodMachine }
  | { readonly status: 'stopping'; readonly done: Promise<void> };

/** What may follow each state. */
const moves: Readonly<Record<PodState['status'], readonly PodState['status'][]>> = {
  idle: ['booting', 'running'],
  booting: ['running', 'idle'],
  running: ['stopping'],
  stopping: ['idle'],
};

/** A programmer error when the move is not in the table. */
export function assertPodMove(from: PodState['status'], to: PodState['status']): void {
  if (!moves[from].includes(to)) throw new Error(`a pod cannot go from ${from} to ${to}`);
}
