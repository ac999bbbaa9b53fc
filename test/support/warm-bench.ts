import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';

import { expect } from 'vitest';

import type { HostConfig } from '../../hyperd/pod/docker-config.ts';
import { PodStore } from '../../hyperd/pod/pod-store.ts';
import type { MemoryMounts } from '../../hyperd/pod/warm/memory-mounts.ts';
import type { WarmConfig } from '../../hyperd/pod/warm/warm-vms.ts';
import type { FakeGuest } from './fake-guest.ts';
import { FakeTemplates } from './fake-templates.ts';
import { PodBench } from './pod-bench.ts';

/** The host's memory, as a test says it is. */
class FakeHostMemory {
  scarce = false;
  /** Of each VM. */
  ofVmMiB = 1;

  isScarce(): Promise<boolean> {
    return Promise.resolve(this.scarce);
  }

  usedMiB(): Promise<number> {
    return Promise.resolve(this.ofVmMiB);
  }
}

/** Long enough for everything that a fake host and guest do. */
export const claimMs = 1000;

/** A pod bench whose VMs may come from templates. */
export class WarmBench implements AsyncDisposable {
  readonly pods: PodBench;
  readonly templates: FakeTemplates;
  readonly memory = new FakeHostMemory();
  /** As when a daemon is killed: what it has mounted stays. */
  keepsMounts = false;

  private constructor(pods: PodBench) {
    this.pods = pods;
    this.templates = new FakeTemplates(pods.driver);
  }

  static async open(
    config: Partial<WarmConfig> = {},
    setUp: (bench: WarmBench) => void | Promise<void> = () => undefined,
  ): Promise<WarmBench> {
    const { promise: opened, resolve } = Promise.withResolvers<WarmBench>();
    await PodBench.open({ claimMs }, async (pods) => {
      const bench = new WarmBench(pods);
      resolve(bench);
      pods.driver.templates = bench.templates;
      pods.programs.set('rehearsal', () => Promise.resolve(0));
      pods.warm = {
        ...{ templates: true, poolSize: 0, poolMax: 0, poolMemoryMiB: 512 },
        makeLayer,
        openMemory: (directory) => openDirectories(directory, () => !bench.keepsMounts),
        hostMemory: bench.memory,
        restMs: 0,
        ...config,
      };
      await setUp(bench);
    });
    return opened;
  }

  /** Where the templates are, a directory each. */
  get shared(): string {
    return path.join(this.pods.directory, 'run', 'memory', 'shared');
  }

  async templateNames(): Promise<readonly string[]> {
    return readdir(this.shared);
  }

  get waiting(): readonly FakeGuest[] {
    return [...this.pods.driver.alive.values()].filter((guest) => guest.isPaused);
  }

  /** Resolves when so many VMs wait in the pool. */
  async untilWaiting(count: number): Promise<void> {
    await expect.poll(() => this.waiting.length).toBe(count);
  }

  /** Resolves when so many templates are ready for use. */
  async untilMade(count: number): Promise<void> {
    const made = () => this.pods.infos.filter((text) => text.startsWith('made the template'));
    await expect.poll(() => made().length).toBe(count);
  }

  /** Starts a container that sleeps and tells where its VM came from. */
  async start(hostConfig: HostConfig = {}, image = 'busybox'): Promise<string> {
    const id = await this.pods.create({ Cmd: ['sleep'], Image: image }, hostConfig);
    await this.pods.start(id);
    return this.originOf(id);
  }

  originOf(containerId: string): string {
    return this.vms.find(({ id }) => id === containerId)?.origin ?? 'none';
  }

  /** Records of the pods that run. */
  get vms() {
    using store = new PodStore(path.join(this.pods.directory, 'data', 'pods.db'));
    return store.pods();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pods[Symbol.asyncDispose]();
  }
}

async function makeLayer(directory: string, tar: AsyncIterable<Buffer>): Promise<string> {
  const file = path.join(directory, 'layer.erofs');
  await writeFile(file, await buffer(tar));
  return file;
}

async function openDirectories(
  directory: string,
  isUnmounted: () => boolean,
): Promise<MemoryMounts> {
  const shared = path.join(directory, 'shared');
  const own = path.join(directory, 'private');
  for (const target of [shared, own]) await mkdir(target, { recursive: true });
  return {
    shared,
    private: own,
    async [Symbol.asyncDispose]() {
      if (!isUnmounted()) return;
      for (const target of [shared, own]) {
        await rm(target, { recursive: true });
        await mkdir(target);
      }
    },
  };
}
