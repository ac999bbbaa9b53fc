import { bootPhase, type BootTimeline, prepareForContainers } from './boot.ts';
import { ContainerTable } from './container-table.ts';
import type { Cancellation } from './cancellation.ts';
import { DeviceWatcher } from './devices.ts';
import { DiskMounts } from './disk-mounts.ts';
import { DiskFinder } from './disk.ts';
import { guard } from './guard.ts';
import { configureNetwork } from './network.ts';
import { watchMemoryPressure } from './pressure.ts';
import { ParkedDevices } from './parked-devices.ts';
import { listProcesses } from './process-list.ts';
import { type ContainerProcess, ProcessTable } from './process-table.ts';
import type {
  AgentEvent,
  Empty,
  GuestHello,
  PodConfig,
  StartParams,
  StartResult,
} from './protocol/message.ts';
import { protocolVersion } from './protocol/version.ts';
import { during, RequestError } from './request-error.ts';
import { AgentServer, type MethodHandlers } from './server.ts';
import { Shutdown } from './shutdown.ts';
import { readStats } from './stats.ts';
import type { Channel, MemorySize, Sys } from './sys/sys.ts';
import { trimMemory } from './trim.ts';

const portName = 'hyper.control';
const nothing: Empty = {};

/** Everything that hyperstart does after boot: the pod, its containers, and who asks for them. */
export class Agent {
  readonly #sys: Sys;
  readonly #timeline: BootTimeline;
  readonly #devices: DeviceWatcher;
  readonly #parked: ParkedDevices;
  readonly #disks: DiskFinder;
  readonly #server: AgentServer;
  readonly #processes: ProcessTable;
  readonly #containers: ContainerTable;
  readonly #shutdown: Shutdown;
  #pod: 'bare' | 'configuring' | 'configured' = 'bare';
  #isPrepared = false;
  #memory: MemorySize | null = null;

  /** Opens the channel; from then on the event loop drives everything. */
  constructor(sys: Sys, timeline: BootTimeline) {
    this.#sys = sys;
    this.#timeline = timeline;
    this.#devices = new DeviceWatcher(sys);
    this.#parked = new ParkedDevices(sys);
    this.#disks = new DiskFinder(sys, this.#devices, this.#parked);
    this.#server = new AgentServer({
      sys,
      methods: this.#methods(),
      hello: () => this.#hello(),
      onStreamDrained: (streamId) => {
        this.#processes.streamDrained(streamId);
      },
      onDisconnect: () => {
        this.#shutdown.hostIsGone();
      },
    });
    const channel = bootPhase(sys, timeline, 'channel', () =>
      sys.openChannel(portName, this.#server.handlers),
    );
    this.#server.attach(channel);
    const publish = (event: AgentEvent): void => {
      this.#server.publish(event);
    };
    this.#processes = this.#makeProcessTable(channel, publish);
    this.#containers = new ContainerTable(
      {
        sys,
        disks: this.#disks,
        layerMounts: new DiskMounts(sys, 'layers'),
        diskMounts: new DiskMounts(sys, 'disks'),
        processes: this.#processes,
      },
      publish,
    );
    this.#shutdown = new Shutdown(sys, this.#containers);
    sys.onChildExit(
      guard(sys, 'the end of a process', (exit) => {
        this.#processes.childExited(exit);
        this.#shutdown.processEnded();
      }),
    );
    watchMemoryPressure(sys, publish);
  }

  #makeProcessTable(channel: Channel, publish: (event: AgentEvent) => void): ProcessTable {
    return new ProcessTable({
      sys: this.#sys,
      channel,
      publish,
      wasOomKilled: (process, signal) => this.#containers.wasOomKilled(process, signal),
      onExitPublished: (process) => {
        this.#cleanUpLater(process);
      },
    });
  }

  /** The exit goes out first: unmounting a disk takes a while. */
  #cleanUpLater(process: ContainerProcess): void {
    if (process.execId !== null) return;
    this.#sys.setTimer(
      0,
      guard(this.#sys, 'the end of a container', () => {
        this.#containers.cleanUp(process.containerId);
      }),
    );
  }

  /** What containers need of the VM, done while the first one's disks are mounted. */
  #prepare(): void {
    if (this.#isPrepared) return;
    prepareForContainers(this.#sys);
    this.#isPrepared = true;
  }

  #hello(): GuestHello {
    this.#memory ??= this.#sys.memory();
    return {
      type: 'hello',
      protocolVersion,
      kernelRelease: this.#sys.kernelRelease(),
      bootTimeline: this.#timeline,
      memoryTotalKiB: this.#memory.totalKiB,
      memoryFreeKiB: this.#memory.freeKiB,
      processes: this.#processes.statuses(),
    };
  }

  #methods(): MethodHandlers {
    return {
      start: (params, cancellation) => this.#start(params, cancellation),
      exec: (params) => ({ pid: this.#containers.exec(params) }),
      signal: (params) => {
        this.#containers.signal(params);
        return nothing;
      },
      resize: ({ rows, columns, ...ref }) => {
        const { terminal } = this.#processes.requireRunning(ref);
        if (terminal === null) {
          throw new RequestError('INVALID_STATE', 'the process has no terminal');
        }
        this.#sys.resizeTerminal(terminal, rows, columns);
        return nothing;
      },
      pause: async ({ containerId }) => {
        await this.#containers.pause(containerId);
        return nothing;
      },
      resume: ({ containerId }) => {
        this.#containers.resume(containerId);
        return nothing;
      },
      stats: ({ containerId }) =>
        readStats(this.#sys, this.#containers.requireRunning(containerId).cgroup),
      processes: ({ containerId }) =>
        listProcesses(this.#sys, this.#containers.requireRunning(containerId).cgroup),
      release: (ref) => {
        const process = this.#processes.release(ref);
        if (process.exit !== null && process.execId === null) {
          this.#containers.remove(process.containerId);
        }
        return nothing;
      },
      park: () => {
        this.#park();
        return nothing;
      },
      trim: () => {
        trimMemory(this.#sys);
        return nothing;
      },
      shutdown: async () => {
        await this.#shutdown.run();
        return nothing;
      },
    };
  }

  async #start(params: StartParams, cancellation: Cancellation): Promise<StartResult> {
    if (this.#shutdown.isRunning) {
      throw new RequestError('INVALID_STATE', 'the VM is shutting down');
    }
    if (params.pod === null && this.#pod !== 'configured') {
      throw new RequestError('INVALID_STATE', 'the pod is not configured yet');
    }
    const pod = params.pod === null ? null : this.#beginPod(params.pod);
    let networkMs = 0;
    try {
      const started = await this.#containers.start(params.container, {
        cancellation,
        meanwhile: async () => {
          const begunMs = this.#sys.uptimeMs();
          this.#prepare();
          if (pod !== null) await this.#configureNetwork(pod, cancellation);
          networkMs = this.#sys.uptimeMs() - begunMs;
        },
      });
      return {
        pid: started.container.process.pid,
        timeline: { network: networkMs, mounts: started.mountsMs, process: started.processMs },
      };
    } finally {
      if (pod !== null && this.#pod === 'configuring') this.#pod = 'bare';
    }
  }

  #park(): void {
    if (this.#containers.all().length > 0 || this.#pod === 'configuring') {
      throw new RequestError('INVALID_STATE', 'the pod is in use');
    }
    during('parking the devices', () => {
      this.#parked.park();
      this.#disks.forget();
    });
    this.#pod = 'bare';
  }

  /** Before anything else: what a clone shares with others of its template ends here. */
  #beginPod(pod: PodConfig): PodConfig {
    if (this.#pod !== 'bare') {
      throw new RequestError('INVALID_STATE', 'the pod is configured already');
    }
    during('setting the identity of the VM', () => {
      this.#sys.addEntropy(pod.entropy);
      this.#sys.setClock(pod.clockUnixMs);
      this.#sys.setHostname(pod.hostname);
    });
    this.#pod = 'configuring';
    return pod;
  }

  async #configureNetwork(pod: PodConfig, cancellation: Cancellation): Promise<void> {
    const context = { sys: this.#sys, devices: this.#devices, parked: this.#parked };
    await configureNetwork(context, pod, cancellation);
    this.#pod = 'configured';
  }
}
