import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { HypervisorDriver } from '../../hyperd/hypervisor/driver.ts';
import { run } from '../../hyperd/base/subprocess.ts';
import { buildInitrd } from '../../hyperstart/initrd.ts';

const source = `#include <sys/reboot.h>
int main(void) { return reboot(RB_POWER_OFF); }
`;

/** The floor under every start: the same hypervisor and kernel, with an init that powers off at once. */
export class Floor implements AsyncDisposable {
  readonly #directory: string;
  readonly #driver: HypervisorDriver;
  readonly #kernelPath: string;

  private constructor(directory: string, driver: HypervisorDriver, kernelPath: string) {
    this.#directory = directory;
    this.#driver = driver;
    this.#kernelPath = kernelPath;
  }

  static async open(driver: HypervisorDriver, kernelPath: string): Promise<Floor> {
    const directory = await mkdtemp(path.join(tmpdir(), 'hyper-floor-'));
    const binary = path.join(directory, 'init');
    await writeFile(`${binary}.c`, source);
    await run('musl-gcc', ['-static', '-Os', '-s', '-o', binary, `${binary}.c`]);
    const entries = [{ path: 'init', mode: 0o100755, content: await readFile(binary) }];
    await writeFile(path.join(directory, 'initrd'), buildInitrd(entries));
    return new Floor(directory, driver, kernelPath);
  }

  /** Milliseconds from launch to the end of the VM's process. */
  async measure(memoryMiB: number, vcpus: number): Promise<number> {
    const runDirectory = await mkdtemp(path.join(this.#directory, 'run-'));
    const startedAt = performance.now();
    const signal = AbortSignal.timeout(120_000);
    await using vm = await this.#driver.launch(
      {
        id: 'f'.repeat(64),
        runDirectory,
        kernelPath: this.#kernelPath,
        initrdPath: path.join(this.#directory, 'initrd'),
        kernelArguments: [],
        memoryMiB,
        vcpus,
        devices: [],
      },
      signal,
    );
    const exit = await vm.exited;
    const milliseconds = performance.now() - startedAt;
    if (exit.reason === 'crashed') throw new Error(`the VM of the floor crashed: ${exit.detail}`);
    return milliseconds;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#directory, { recursive: true });
  }
}
