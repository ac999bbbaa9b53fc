import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

import { HyperError } from '../../hyperd/base/error.ts';
import type {
  ContainerStateView,
  ContainerStatsView,
  ContainerView,
  CreateRequest,
  LastStart,
  VmView,
  WaitCondition,
  WaitResult,
} from '../../hyperd/pod/container-service.ts';
import { FakeProcess } from './fake-process.ts';

export const fakeVm: VmView = {
  hypervisor: 'fake',
  pid: 4242,
  memoryMiB: 128,
  vcpus: 1,
  origin: 'boot',
  kernelRelease: '6.12.0-hyper',
  consoleTail: () => 'the guest kernel says hello\n',
};

/** A VM of the pool. */
export const fakeWaitingVm: VmView = { ...fakeVm, pid: 4343, origin: 'pool' };

/** How the fakes start. */
export const fakeStart: LastStart = { origin: 'boot', timeline: { spawn: 10, agent: 200 } };

/** A container of FakeContainerService: its request, its state and its process. */
export class FakeContainer {
  readonly id = randomBytes(32).toString('hex');
  readonly createdUnixMs = Date.now();
  readonly removed = Promise.withResolvers<undefined>();
  readonly request: CreateRequest;
  name: string;
  status: ContainerStateView['status'] = 'created';
  process = new FakeProcess();
  startedUnixMs: number | null = null;
  finishedUnixMs: number | null = null;
  readonly #imageId: string;
  readonly #command: readonly string[];

  constructor(
    request: CreateRequest,
    name: string,
    imageId: string,
    imageCommand: readonly string[],
  ) {
    this.request = request;
    this.name = name;
    this.#imageId = imageId;
    const { Entrypoint, Cmd } = request.config;
    this.#command = [...(Entrypoint ?? []), ...(Cmd ?? (Entrypoint ? [] : imageCommand))];
  }

  get isRunning(): boolean {
    return this.status === 'running' || this.status === 'paused';
  }

  start(): void {
    if (this.status !== 'created') {
      this.process = new FakeProcess();
    }
    this.process.run(this.#command);
    if (this.process.startError !== null) {
      throw new HyperError('INVALID_ARGUMENT', this.process.startError);
    }
    this.status = 'running';
    this.startedUnixMs = Date.now();
    void this.process.exited.then(() => {
      this.status = 'exited';
      this.finishedUnixMs = Date.now();
    });
  }

  view(): ContainerView {
    const { config, hostConfig } = this.request;
    const [path = '', ...args] = this.#command;
    const vm = fakeVm;
    return {
      id: this.id,
      name: this.name,
      createdUnixMs: this.createdUnixMs,
      imageId: this.#imageId,
      imageName: config.Image,
      config,
      hostConfig,
      path,
      args,
      effectiveConfig: { ...config, Cmd: [...args], Env: ['PATH=/bin', ...(config.Env ?? [])] },
      state: {
        status: this.status,
        exitCode: this.process.exitCode ?? 0,
        error: '',
        oomKilled: false,
        pid: this.isRunning ? vm.pid : 0,
        startedUnixMs: this.startedUnixMs,
        finishedUnixMs: this.finishedUnixMs,
      },
      restartCount: 0,
      endpoint:
        this.isRunning && hostConfig.NetworkMode !== 'none'
          ? {
              podId: this.id,
              tapName: 'hyp0',
              macAddress: '02:42:ac:1d:00:02',
              address: '172.29.0.2/16',
              gateway: '172.29.0.1',
              mtu: 1500,
              ports: [{ protocol: 'tcp', containerPort: 80, hostAddress: '', hostPort: 8080 }],
            }
          : null,
      networkMode: hostConfig.NetworkMode === 'none' ? 'none' : 'bridge',
      logPath: '',
      execIds: [],
      lastStart: this.startedUnixMs === null ? null : fakeStart,
      vm: this.isRunning ? vm : null,
    };
  }
}

/** `wait` on a fake container. */
export async function waitFor(
  container: FakeContainer,
  condition: WaitCondition,
  signal: AbortSignal,
): Promise<WaitResult> {
  const aborted = once(signal, 'abort').then(() => {
    throw new HyperError('UNAVAILABLE', 'the wait was given up');
  });
  // Whoever wins below, an abort after that is nobody's business.
  aborted.catch(() => undefined);
  const settled =
    condition === 'not-running' && !container.isRunning
      ? Promise.resolve()
      : condition === 'removed'
        ? container.removed.promise
        : container.process.exited;
  await Promise.race([settled, aborted]);
  return { exitCode: container.process.exitCode ?? 0, error: null };
}

/** A sample with recognisable numbers. */
export function fakeStats(): ContainerStatsView {
  return {
    readUnixMs: Date.now(),
    guest: {
      memoryBytes: 5_000_000,
      memoryMaxBytes: null,
      memoryInactiveFileBytes: 1_000_000,
      cpuUsageMicros: 1000,
      cpuUserMicros: 600,
      cpuSystemMicros: 400,
      throttledPeriods: 0,
      throttledMicros: 0,
      pids: 1,
      pidsMax: null,
      onlineCpus: 1,
      interfaces: [
        {
          name: 'eth0',
          rxBytes: 1,
          rxPackets: 2,
          rxErrors: 0,
          rxDropped: 0,
          txBytes: 3,
          txPackets: 4,
          txErrors: 0,
          txDropped: 0,
        },
      ],
      blockReadBytes: 10,
      blockWriteBytes: 20,
    },
    memoryLimitBytes: 128 * 1024 * 1024,
    hostMemoryBytes: 40_000_000,
  };
}
