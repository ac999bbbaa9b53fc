import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { openContainerLog } from '../../hyperd/log/open.ts';
import type { ContainerService, DockerEvent } from '../../hyperd/pod/container-service.ts';
import type { Deadlines } from '../../hyperd/pod/context.ts';
import type { ContainerConfig, HostConfig } from '../../hyperd/pod/docker-config.ts';
import type { IdleTrimOptions } from '../../hyperd/pod/idle-trim.ts';
import { openContainerService } from '../../hyperd/pod/open.ts';
import type { NetworkManager } from '../../hyperd/network/network-manager.ts';
import type { WarmConfig } from '../../hyperd/pod/warm/warm-vms.ts';
import { buildInitrd } from '../../hyperstart/initrd.ts';
import { connectFakeAgent, FakeGuestDriver, type Program } from './fake-guest.ts';
import { FakeImageStore } from './fake-image-store.ts';

export type Service = ContainerService & AsyncDisposable;

/** A container service over fake guests in a directory of its own. */
export class PodBench implements AsyncDisposable {
  readonly driver = new FakeGuestDriver();
  readonly images = new FakeImageStore();
  readonly programs = new Map<string, Program>();
  readonly warnings: string[] = [];
  readonly infos: string[] = [];
  readonly directory: string;
  deadlines: Partial<Deadlines> = {};
  warm: WarmConfig | null = null;
  network: NetworkManager | null = null;
  trim: IdleTrimOptions | null = null;
  containers: Service;

  private constructor(directory: string, containers: Service | null) {
    this.directory = directory;
    this.containers = containers as Service;
  }

  /** `setUp` runs before the service opens. */
  static async open(
    deadlines: Partial<Deadlines> = {},
    setUp: (bench: PodBench) => Promise<void> = () => Promise.resolve(),
  ): Promise<PodBench> {
    const bench = new PodBench(await mkdtemp(path.join(tmpdir(), 'hyper-pods-')), null);
    bench.deadlines = deadlines;
    bench.images.add('busybox:latest', {
      config: {
        ...{ User: '', Env: ['PATH=/bin'], Entrypoint: null, Cmd: ['sh'], WorkingDir: '' },
        ...{ Labels: { maker: 'us' }, ExposedPorts: {}, Volumes: {}, StopSignal: '', Shell: null },
        ...{ Healthcheck: null, OnBuild: null },
      },
    });
    bench.driver.prepare = (guest) => {
      for (const [name, program] of bench.programs) guest.programs.set(name, program);
    };
    bench.programs.set('true', () => Promise.resolve(0));
    bench.programs.set('sleep', () => new Promise(() => undefined));
    const init = { path: 'init', mode: 0o100755, content: Buffer.from('ELF') };
    await writeFile(bench.kernelPath, 'kernel');
    await writeFile(bench.initrdPath, buildInitrd([init]));
    await setUp(bench);
    await bench.restartDaemon();
    return bench;
  }

  get kernelPath(): string {
    return path.join(this.directory, 'kernel');
  }

  get initrdPath(): string {
    return path.join(this.directory, 'initrd');
  }

  /** Ends the service as a daemon's end would, and opens the next one. */
  async restartDaemon(): Promise<void> {
    await (this.containers as Service | null)?.[Symbol.asyncDispose]();
    const tell = (fields: object, message: string): void => {
      this.warnings.push(`${message} ${JSON.stringify(fields)}`);
    };
    this.containers = await openContainerService({
      driver: this.driver,
      images: this.images,
      network: this.network,
      openLog: openContainerLog,
      dataRoot: path.join(this.directory, 'data'),
      execRoot: path.join(this.directory, 'run'),
      kernelPath: this.kernelPath,
      initrdPath: this.initrdPath,
      dns: [],
      logger: { info: (_fields, message) => this.infos.push(message), warn: tell, error: tell },
      connectAgent: connectFakeAgent,
      deadlines: this.deadlines,
      capacity: { cpus: 4, memoryMiB: 8192 },
      ...(this.warm === null ? {} : { warm: this.warm }),
      ...(this.trim === null ? {} : { trim: this.trim }),
    });
  }

  /** Creates a container without a network. */
  async create(
    config: Partial<ContainerConfig> = {},
    hostConfig: HostConfig = {},
    name: string | null = null,
  ): Promise<string> {
    const { id } = await this.containers.create({
      name,
      platform: null,
      config: { Image: 'busybox', ...config },
      hostConfig: { NetworkMode: 'none', StorageOpt: { size: '32M' }, ...hostConfig },
    });
    return id;
  }

  async start(id: string): Promise<boolean> {
    return this.containers.start(id, new AbortController().signal);
  }

  async wait(id: string): Promise<number> {
    const { exited } = this.containers.wait(id, 'not-running', AbortSignal.timeout(5000));
    return (await exited).exitCode;
  }

  /** Actions of the events so far. */
  async eventActions(): Promise<readonly string[]> {
    return (await this.events()).map(({ action }) => action);
  }

  async events(): Promise<readonly DockerEvent[]> {
    const events: DockerEvent[] = [];
    const stop = new AbortController();
    setImmediate(() => {
      stop.abort();
    });
    for await (const event of this.containers.events.subscribe(0n, stop.signal)) events.push(event);
    return events;
  }

  async logText(id: string): Promise<string> {
    const all = { tail: null, sinceUnixNanos: null, untilUnixNanos: null };
    const options = { follow: false, stdout: true, stderr: true, ...all };
    let text = '';
    for await (const entry of this.containers.logs(id, options, AbortSignal.timeout(5000))) {
      text += Buffer.from(entry.bytes).toString();
    }
    return text;
  }

  /** Run directories and container directories that exist. */
  async leftovers(): Promise<{
    readonly runs: readonly string[];
    readonly data: readonly string[];
  }> {
    return {
      runs: await readdir(path.join(this.directory, 'run', 'pods')),
      data: await readdir(path.join(this.directory, 'data', 'containers')),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.containers[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}
