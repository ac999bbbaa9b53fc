import { setTimeout as delay } from 'node:timers/promises';
import type { Duplex } from 'node:stream';

import { ConsoleRing } from '../../base/console-ring.ts';
import { unlessAborted } from '../../base/deadline.ts';
import { HyperError } from '../../base/error.ts';
import { isAlive, killProcess } from '../../base/process-table.ts';
import type { ChannelName, Device, PluggedDevice, Vm, VmExit, VmRecord } from '../driver.ts';
import {
  blockNode,
  diskDevice,
  type HostCapabilities,
  hotplugPorts,
  netBackend,
  nicDevice,
  nodeName,
  socketPaths,
} from './command-line.ts';
import { QmpClient, type QmpEvent } from './qmp-client.ts';
import { connectUnix } from './unix-connect.ts';

export interface QemuVmOptions {
  readonly record: VmRecord;
  readonly host: HostCapabilities;
  /** performance.now() at the call of launch. */
  readonly startedAt: number;
  /** Settles with how the process ended; null when it is not our child. */
  readonly exited: Promise<string> | null;
}

const consoleBytes = 64 * 1024;
const exitCheckMs = 20;

/** A QEMU process with its monitor and console connected. */
export class QemuVm implements Vm {
  readonly record: VmRecord;
  readonly exited: Promise<VmExit>;
  readonly #options: QemuVmOptions;
  readonly #console = new ConsoleRing(consoleBytes);
  readonly #timeline: Record<string, number> = {};
  readonly #ports = new Map<string, string>();
  readonly #deleted = new Map<string, () => void>();
  #qmp: QmpClient | null = null;
  #shutdownReason: string | null = null;
  #isEnding = false;

  private constructor(options: QemuVmOptions, closed: Promise<void>) {
    this.record = options.record;
    this.#options = options;
    this.exited = this.#watchExit(closed);
  }

  /** Connects monitor and console; the guest's CPUs are left as they are. */
  static async connect(options: QemuVmOptions, signal: AbortSignal): Promise<QemuVm> {
    const sockets = socketPaths(options.record.runDirectory);
    const { promise: closed, resolve } = Promise.withResolvers<undefined>();
    const vm = new QemuVm(options, closed);
    const qmpSocket = await connectUnix(sockets.qmp, signal);
    qmpSocket.once('close', () => {
      resolve(undefined);
    });
    try {
      vm.#mark('spawn');
      const consoleSocket = await connectUnix(sockets.console, signal);
      consoleSocket.on('data', (chunk) => {
        vm.#console.push(chunk);
      });
      consoleSocket.on('error', () => undefined);
      vm.#qmp = await unlessAborted(
        QmpClient.open(qmpSocket, (event) => {
          vm.#onEvent(event);
        }),
        signal,
      );
      vm.#mark('monitor');
      return vm;
    } catch (thrown) {
      qmpSocket.destroy();
      throw thrown;
    }
  }

  get id(): string {
    return this.record.id;
  }

  get timeline(): Readonly<Record<string, number>> {
    return this.#timeline;
  }

  async connect(channel: ChannelName, signal: AbortSignal): Promise<Duplex> {
    if (channel === 'console') {
      throw new HyperError(
        'UNSUPPORTED',
        'QEMU: the console is read by the driver: use consoleTail()',
      );
    }
    return connectUnix(socketPaths(this.record.runDirectory).control, signal);
  }

  consoleTail(): string {
    return this.#console.text();
  }

  async plug(device: Device, signal: AbortSignal): Promise<PluggedDevice> {
    const used = new Set(this.#ports.values());
    const bus = hotplugPorts.find((port) => !used.has(port));
    if (bus === undefined) {
      throw new HyperError(
        'UNAVAILABLE',
        `VM ${this.id.slice(0, 12)}: every hot-plug port is taken`,
      );
    }
    const isDisk = device.kind === 'disk';
    const backend = isDisk ? blockNode(device) : netBackend(device, this.#options.host);
    await this.#execute(isDisk ? 'blockdev-add' : 'netdev_add', backend);
    try {
      signal.throwIfAborted();
      const front = isDisk ? diskDevice(device) : nicDevice(device);
      await this.#execute('device_add', { ...front, bus });
    } catch (thrown) {
      await this.#removeBackend(device.id, isDisk);
      throw thrown;
    }
    this.#ports.set(device.id, bus);
    return { id: device.id };
  }

  async unplug(deviceId: string, signal: AbortSignal): Promise<void> {
    if (!this.#ports.has(deviceId)) return;
    const deleted = new Promise<void>((resolve) => this.#deleted.set(deviceId, resolve));
    await this.#execute('device_del', { id: deviceId });
    await unlessAborted(deleted, signal);
    this.#ports.delete(deviceId);
    await this.#removeBackend(deviceId, true);
    await this.#removeBackend(deviceId, false);
  }

  async pause(): Promise<void> {
    await this.#execute('stop');
  }

  async resume(): Promise<void> {
    await this.#execute('cont');
    this.#timeline['running'] ??= this.#elapsed();
  }

  async stop(options: { readonly graceMs: number }): Promise<VmExit> {
    if (options.graceMs > 0) {
      const grace = new AbortController();
      const first = await Promise.race([
        this.exited.then(() => 'exited'),
        delay(options.graceMs, 'late', { signal: grace.signal, ref: false }).catch(() => 'late'),
      ]);
      grace.abort();
      if (first === 'exited') return this.exited;
    }
    this.#isEnding = true;
    killProcess(this.record.pid, this.record.startTicks);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ graceMs: 0 });
  }

  async #watchExit(closed: Promise<void>): Promise<VmExit> {
    const { exited, record } = this.#options;
    const how = exited === null ? await this.#adoptedExit(closed) : await exited;
    this.#qmp?.close();
    if (
      this.#isEnding ||
      this.#shutdownReason === 'guest-shutdown' ||
      this.#shutdownReason === 'host-qmp-quit'
    ) {
      return { reason: 'stopped' };
    }
    const guest = this.#shutdownReason === null ? '' : `, reason ${this.#shutdownReason}`;
    const name = `QEMU process ${String(record.pid)}`;
    return { reason: 'crashed', detail: `${name} ended (${how}${guest})` };
  }

  /** The process of an adopted VM is not our child: its monitor closes first, the rest takes an instant. */
  async #adoptedExit(closed: Promise<void>): Promise<string> {
    await closed;
    while (isAlive(this.record.pid, this.record.startTicks)) await delay(exitCheckMs);
    return 'not our child';
  }

  #onEvent({ event, data }: QmpEvent): void {
    if (event === 'SHUTDOWN') this.#shutdownReason = textOf(data['reason']);
    if (event === 'DEVICE_DELETED') this.#deleted.get(textOf(data['device']))?.();
  }

  async #removeBackend(deviceId: string, isDisk: boolean): Promise<void> {
    const command = isDisk ? 'blockdev-del' : 'netdev_del';
    const args = isDisk ? { 'node-name': nodeName(deviceId) } : { id: `net-${deviceId}` };
    try {
      await this.#execute(command, args);
    } catch {
      // Only one of both kinds was there; a VM that is gone has none.
    }
  }

  async #execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#qmp === null) throw new HyperError('UNAVAILABLE', `QEMU: ${command}: no monitor`);
    return this.#qmp.execute(command, args);
  }

  #mark(phase: string): void {
    this.#timeline[phase] = this.#elapsed();
  }

  #elapsed(): number {
    return Math.round((performance.now() - this.#options.startedAt) * 10) / 10;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : 'unknown';
}
