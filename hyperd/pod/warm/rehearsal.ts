import { rm } from 'node:fs/promises';
import path from 'node:path';

import { unlessAborted } from '../../base/deadline.ts';
import { HyperError } from '../../base/error.ts';
import type { Disk, Vm } from '../../hypervisor/driver.ts';
import type { AgentConnection } from '../agent-connection.ts';
import { toStartParams } from '../agent-start.ts';
import type { PodContext } from '../context.ts';
import type { ProcessExits } from '../process-exits.ts';
import { defaultDiskBytes, toContainerSpec } from '../spec/container-spec.ts';
import { rehearsalCommand } from './rehearsal-layer.ts';
import { blankMacAddress } from './template.ts';

/** A VM that is about to rehearse. */
export interface RehearsingVm {
  readonly vm: Vm;
  readonly agent: AgentConnection;
  readonly exits: ProcessExits;
  readonly hasNic: boolean;
  readonly runDirectory: string;
}

export interface RehearsalOptions {
  /** Image of the layer that the container is made of. */
  readonly layerFile: string;
  /** With a terminal. */
  readonly tty?: boolean;
  readonly signal: AbortSignal;
}

const containerId = 'rehearsal';
/** An address for documentation (RFC 5737): the TAP is guarded, nothing leaves. */
const endpoint = {
  macAddress: '02:00:00:00:00:02',
  address: '192.0.2.2/24',
  gateway: '192.0.2.1',
};

/**
 * Walks the whole path of a container start once, from disks and network to the exit of a process, and
 * leaves the VM blank. What the guest kernel and the agent need for it is then in memory, and translated
 * where the processor is emulated: the next start takes a fraction of the time.
 */
export async function rehearse(
  context: PodContext,
  machine: RehearsingVm,
  options: RehearsalOptions,
): Promise<void> {
  const { vm, agent } = machine;
  const { signal, tty = false } = options;
  const writable = path.join(machine.runDirectory, 'rehearsal.raw');
  await context.templates.clone(defaultDiskBytes, writable);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(writable, { force: true }));
  await agent.request('park', {}, signal);
  const disks: readonly Disk[] = [
    { kind: 'disk', id: 'layer', path: options.layerFile, readOnly: true },
    { kind: 'disk', id: 'writable', path: writable, readOnly: false },
  ];
  const guestNames = new Map<string, string>();
  for (const disk of disks) {
    const { guestName } = await vm.plug(disk, signal);
    guestNames.set(disk.id, guestName);
  }
  await runContainer(context, machine, { guestNames, tty, signal });
  await agent.request('park', {}, signal);
  for (const disk of disks) await vm.unplug(disk.id, signal);
}

async function runContainer(
  context: PodContext,
  { agent, exits, hasNic }: RehearsingVm,
  options: {
    readonly guestNames: ReadonlyMap<string, string>;
    readonly tty: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { guestNames, tty, signal } = options;
  const config = { Image: '', Cmd: rehearsalCommand, Hostname: 'rehearsal', Tty: tty };
  const spec = toContainerSpec(config, {}, context.capacity);
  const streams = {
    stdin: null,
    stdout: agent.allocateStreamId(),
    stderr: tty ? null : agent.allocateStreamId(),
  };
  const ref = { containerId, execId: null };
  const ended = exits.expect(ref);
  const params = toStartParams({
    ...{ containerId, spec, streams, consoleSize: null, hostResolvConf: '', dns: [] },
    rootfs: {
      layers: [guestNames.get('layer') ?? ''],
      writableDisk: guestNames.get('writable') ?? '',
    },
    deviceMacAddress: blankMacAddress,
    endpoint: hasNic ? { ...endpoint, podId: '', tapName: '', mtu: 1500, ports: [] } : null,
  });
  await agent.request('start', params, signal);
  for (const id of [streams.stdout, streams.stderr]) {
    if (id !== null) agent.openReadable(id).resume();
  }
  const { exitCode } = await unlessAborted(ended, signal);
  if (exitCode !== 0) {
    throw new HyperError('INTERNAL', `its process ended with exit code ${String(exitCode)}`);
  }
  await agent.request('release', ref, signal);
}
