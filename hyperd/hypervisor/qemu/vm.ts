import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Duplex } from 'node:stream';

import { unlessAborted } from '../../base/deadline.ts';
import { HyperError } from '../../base/error.ts';
import { Mutex } from '../../base/mutex.ts';
import { hasEndedWithin, killProcess } from '../../base/process-table.ts';
import type { ChannelName, Device, PluggedDevice, Vm, VmExit, VmRecord } from '../driver.ts';
import { checkDevices, type HostCapabilities, socketPaths } from './command-line.ts';
import { ConsoleFeed } from './console-feed.ts';
import { DiskSlots } from './disk-slots.ts';
import { Hotplug } from './hotplug.ts';
import { loadState, saveState } from './migration.ts';
import { capQemuLog, readQemuLog } from './qemu-log.ts';
import { QmpClient } from './qmp-client.ts';
import { QemuSharedMemory } from './shared-memory.ts';
import { connectUnix } from './unix-connect.ts';
import { VmEvents } from './vm-events.ts';

export interface QemuVmOptions {
  readonly record: VmRecord;
  readonly host: HostCapabilities;
  /** performance.now() at the call of launch. */
  readonly startedAt: number;
  /** How we came to the process: the name of the first phase of its timeline. */
  readonly beginning: 'spawn' | 'fork' | 'adopt';
  /** Settles with how the process ended; null when it is not our child. */
  readonly exited: Promise<string> | null;
}

interface Connections {
  readonly qmp: QmpClient;
  readonly events: VmEvents;
  readonly console: ConsoleFeed;
  /** Settles when the console has told all it had. */
  readonly consoleClosed: Promise<undefined>;
  readonly sharedMemory: QemuSharedMemory | null;
  readonly timeline: Record<string, number>;
}

/** Between the end of its monitor and its own end a QEMU process takes an instant. */
const endMs = 2000;
/** What a process that has ended left in its sockets is read within this time. */
const drainMs = 1000;

/** Removes a VM's sockets: QEMU does so itself unless it is killed. */
export async function removeSockets(runDirectory: string): Promise<void> {
  const sockets = Object.values(socketPaths(runDirectory));
  await Promise.all(sockets.map((socket) => rm(socket, { force: true })));
}

/** A QEMU process with its monitor and console connected. */
export class QemuVm implements Vm {
  readonly record: VmRecord;
  readonly exited: Promise<VmExit>;
  readonly timeline: Record<string, number>;
  readonly sharedMemory: QemuSharedMemory | null;
  readonly #options: QemuVmOptions;
  readonly #connections: Connections;
  readonly #hotplug: Hotplug;
  readonly #slots: DiskSlots;
  readonly #gone = new AbortController();
  readonly #connecting = new Mutex();
  #control: Socket | null = null;
  #isEnding = false;
  #failure: string | null = null;

  private constructor(options: QemuVmOptions, connections: Connections) {
    this.record = options.record;
    this.timeline = connections.timeline;
    this.sharedMemory = connections.sharedMemory;
    this.#options = options;
    this.#connections = connections;
    const { qmp, events } = connections;
    this.#hotplug = new Hotplug({ vmName: this.#name, qmp, events, host: options.host });
    this.#slots = new DiskSlots(qmp);
    events.onStop = () => {
      void this.#onStop();
    };
    this.exited = this.#watchExit();
  }

  /** Connects monitor and console; the guest's CPUs are left as they are. */
  static async connect(options: QemuVmOptions, signal: AbortSignal): Promise<QemuVm> {
    const { startedAt, record } = options;
    const sockets = socketPaths(record.runDirectory);
    using undo = new DisposableStack();
    const events = new VmEvents();
    const monitor = undo.adopt(await connectUnix(sockets.qmp, signal), destroy);
    const timeline: Record<string, number> = { [options.beginning]: elapsedSince(startedAt) };
    const consoleSocket = undo.adopt(await connectUnix(sockets.console, signal), destroy);
    const console = new ConsoleFeed();
    const { promise: consoleClosed, resolve } = Promise.withResolvers<undefined>();
    consoleSocket
      .on('data', (chunk) => {
        console.push(chunk);
      })
      .on('error', () => undefined)
      .once('close', () => {
        console.close();
        resolve(undefined);
      });
    const opening = QmpClient.open(monitor, (event) => {
      events.receive(event);
    });
    const qmp = await unlessAborted(opening, signal);
    timeline['monitor'] = elapsedSince(startedAt);
    const sharedMemory = QemuSharedMemory.open(record.pid);
    undo.move();
    const parts = { qmp, events, console, consoleClosed, sharedMemory, timeline };
    return new QemuVm(options, parts);
  }

  get id(): string {
    return this.record.id;
  }

  get #name(): string {
    return this.record.id.slice(0, 12);
  }

  async connect(channel: ChannelName, signal: AbortSignal): Promise<Duplex> {
    this.#gone.signal.throwIfAborted();
    if (channel === 'console') return this.#connections.console.open();
    return this.#connecting.run(async () => {
      if (this.#control?.destroyed === false) {
        throw new HyperError('INVALID_STATE', `VM ${this.#name}: its control channel is in use`);
      }
      const either = AbortSignal.any([signal, this.#gone.signal]);
      this.#control = await connectUnix(socketPaths(this.record.runDirectory).control, either);
      return this.#control;
    });
  }

  consoleTail(): string {
    return this.#connections.console.text();
  }

  async plug(device: Device, signal: AbortSignal): Promise<PluggedDevice> {
    checkDevices([device]);
    const slot = device.kind === 'disk' ? await this.#slots.plug(device) : null;
    if (slot !== null) return { id: device.id, guestName: slot };
    await this.#hotplug.plug(device, signal);
    return { id: device.id, guestName: device.kind === 'disk' ? device.id : device.macAddress };
  }

  async unplug(deviceId: string, signal: AbortSignal): Promise<void> {
    if (this.#gone.signal.aborted || (await this.#slots.unplug(deviceId))) return;
    await this.#hotplug.unplug(deviceId, signal);
  }

  async pause(): Promise<void> {
    await this.#connections.qmp.execute('stop');
  }

  async resume(): Promise<void> {
    await this.#connections.qmp.execute('cont');
    this.timeline['running'] ??= elapsedSince(this.#options.startedAt);
  }

  /** Writes the state of the machine, which has to be paused, to a file. */
  async saveState(file: string): Promise<void> {
    await saveState(this.#connections, { file, directory: this.record.runDirectory });
  }

  /** Takes over the state in the file that QEMU was started with, waiting for it. */
  async loadState(): Promise<void> {
    await loadState(this.#connections);
    this.timeline['restored'] = elapsedSince(this.#options.startedAt);
  }

  async stop(options: { readonly graceMs: number }): Promise<VmExit> {
    if (options.graceMs > 0) {
      const exit = await within(options.graceMs, this.exited);
      if (exit !== null) return exit;
    }
    this.#isEnding = true;
    killProcess(this.record.pid, this.record.startTicks);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ graceMs: 0 });
  }

  async #watchExit(): Promise<VmExit> {
    const { qmp, events, consoleClosed } = this.#connections;
    const capped = capQemuLog(this.record.runDirectory);
    const how = await this.#processEnd();
    capped[Symbol.dispose]();
    const control = this.#control;
    const controlClosed = control?.destroyed === false ? once(control, 'close') : null;
    await within(drainMs, Promise.all([qmp.closed, consoleClosed, controlClosed]));
    this.sharedMemory?.[Symbol.dispose]();
    qmp.close();
    const gone = new HyperError('UNAVAILABLE', `VM ${this.#name}: it has ended`);
    events.close(gone);
    this.#gone.abort(gone);
    const log = await readQemuLog(this.record.runDirectory);
    await removeSockets(this.record.runDirectory);
    return this.#judge(how, log);
  }

  /** Waits for the process, which is a child only when we launched it: else its monitor tells. */
  async #processEnd(): Promise<string> {
    const { exited, record } = this.#options;
    const { qmp } = this.#connections;
    await Promise.race([qmp.closed, ...(exited === null ? [] : [exited])]);
    if (!(await hasEndedWithin(endMs, record))) {
      this.#failure ??= 'its monitor hung up while the process went on, so it was killed';
      killProcess(record.pid, record.startTicks);
      await hasEndedWithin(endMs, record);
    }
    // The child does not keep the daemon alive, so that news of its end might never be fetched.
    return exited === null
      ? 'no child of this daemon'
      : ((await within(endMs, exited)) ?? 'unknown');
  }

  #judge(how: string, log: string): VmExit {
    const { shutdownReason } = this.#connections.events;
    if (this.#isEnding) return { reason: 'stopped' };
    if (this.#failure !== null) return { reason: 'crashed', detail: this.#failure };
    switch (shutdownReason) {
      case 'guest-shutdown':
      case 'host-qmp-quit':
        return { reason: 'stopped' };
      case 'guest-reset':
      case 'guest-panic':
        return { reason: 'crashed', detail: 'the guest kernel panicked or reset the machine' };
      default: {
        const cause = shutdownReason === null ? how : `${how}, ${shutdownReason}`;
        const text = `QEMU process ${String(this.record.pid)} ended (${cause})`;
        return { reason: 'crashed', detail: log === '' ? text : `${text}: ${log}` };
      }
    }
  }

  /** KVM stops a VM for good at an instruction that it cannot handle; QEMU then waits for ever. */
  async #onStop(): Promise<void> {
    try {
      const status = await this.#connections.qmp.execute('query-status');
      if (!isInternalError(status)) return;
      this.#failure = 'the hypervisor could not go on with the guest (internal error)';
      killProcess(this.record.pid, this.record.startTicks);
    } catch {
      // It has ended meanwhile, which is seen elsewhere.
    }
  }
}

/** What `promise` resolves to, or null when that takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | null> {
  const timer = new AbortController();
  const late = delay(milliseconds, null, { signal: timer.signal }).catch(() => null);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

function isInternalError(status: unknown): boolean {
  return (
    typeof status === 'object' &&
    status !== null &&
    'status' in status &&
    status.status === 'internal-error'
  );
}

function destroy(socket: Socket): void {
  socket.destroy();
}

function elapsedSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 10) / 10;
}
