import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';

import { HyperError, messageOf } from '../../base/error.ts';
import { isAlive } from '../../base/process-table.ts';
import { run } from '../../base/subprocess.ts';
import type {
  HypervisorDriver,
  TemplateAbility,
  Vm,
  VmConfig,
  VmFeatures,
  VmRecord,
} from '../driver.ts';
import { checkDevices, type HostCapabilities, qbootFile, qemuArguments } from './command-line.ts';
import { canOpen, isKvmWorking } from './kvm-probe.ts';
import { launchQemu } from './launch.ts';
import { QemuTemplates, type QemuTemplatesConfig } from './templates.ts';
import { QemuVm } from './vm.ts';

export interface QemuDriverConfig {
  /** Default `qemu-system-x86_64`, looked up in PATH. */
  readonly binary?: string;
  /** Booted once to find out whether KVM works here. */
  readonly kernelPath: string;
  /** Where that is remembered. */
  readonly stateFile: string;
  /** The library that forks VMs (vm-fork/README.md); without it there are no forks. */
  readonly forkLibrary?: string;
}

const oldest = { major: 7, minor: 2 };

/** Opens the QEMU driver. Rejects UNAVAILABLE when QEMU is missing or older than 7.2. */
export async function openQemuDriver(config: QemuDriverConfig): Promise<HypervisorDriver> {
  const binary = config.binary ?? 'qemu-system-x86_64';
  const hint = 'apt-get install qemu-system-x86';
  let stdout: string;
  try {
    ({ stdout } = await run(binary, ['--version']));
  } catch (cause) {
    throw new HyperError('UNAVAILABLE', `QEMU cannot be run: ${messageOf(cause)}`, { cause, hint });
  }
  const version = /version (\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (version === null || isTooOld(Number(version[1]), Number(version[2]))) {
    const found = version === null ? stdout.trim() : version[0];
    throw new HyperError('UNAVAILABLE', `QEMU ${found} is too old: 7.2 or newer is needed`, {
      hint,
    });
  }
  const number = version.slice(1).join('.');
  const { kernelPath, stateFile, forkLibrary = null } = config;
  const qboot = await hasQboot(binary);
  const kvm = await isKvmWorking({ binary, version: number, kernelPath, qboot, stateFile });
  // It would be a third thread that waits for an emulated processor, and a VM with it cannot be forked.
  const vhostNet = kvm && (await canOpen('/dev/vhost-net'));
  const host = { kvm, qboot, vhostNet };
  return new QemuDriver({ binary, version: number, host, forkLibrary });
}

/** QEMU lists the folders where it looks for firmware; distributions may leave qboot out. */
async function hasQboot(binary: string): Promise<boolean> {
  const { stdout } = await run(binary, ['-L', 'help']);
  const folders = stdout.split('\n').filter((line) => line.startsWith('/'));
  const found = await Promise.allSettled(
    folders.map((folder) => access(path.join(folder, qbootFile), constants.R_OK)),
  );
  return found.some(({ status }) => status === 'fulfilled');
}

function isTooOld(major: number, minor: number): boolean {
  return major < oldest.major || (major === oldest.major && minor < oldest.minor);
}

class QemuDriver implements HypervisorDriver {
  readonly name = 'qemu';
  readonly version: string;
  readonly features: VmFeatures;
  readonly templates: TemplateAbility;
  readonly #binary: string;
  readonly #host: HostCapabilities;

  constructor(config: QemuTemplatesConfig) {
    const { binary, version, host } = config;
    this.#binary = binary;
    this.version = version;
    this.#host = host;
    this.features = {
      channels: ['control', 'console'],
      hotplug: ['disk', 'nic'],
      pause: true,
      hardwareAccelerated: host.kvm,
    };
    this.templates = new QemuTemplates(config);
  }

  async launch(config: VmConfig, signal: AbortSignal): Promise<Vm> {
    const startedAt = performance.now();
    signal.throwIfAborted();
    checkDevices(config.devices);
    await requireFiles(config);
    const { id, runDirectory } = config;
    const launch = {
      ...{ binary: this.#binary, host: this.#host, id, runDirectory, startedAt },
      arguments: qemuArguments(config, this.#host),
    };
    return launchQemu(launch, (vm) => vm.resume(), signal);
  }

  async adopt(record: VmRecord, signal: AbortSignal): Promise<Vm> {
    if (!isAlive(record.pid, record.startTicks)) {
      const text = `VM ${record.id.slice(0, 12)}: its process ${String(record.pid)} is gone`;
      throw new HyperError('NOT_FOUND', text);
    }
    const startedAt = performance.now();
    const how = { beginning: 'adopt', exited: null } as const;
    const options = { record, host: this.#host, startedAt, ...how };
    try {
      return await QemuVm.connect(options, signal);
    } catch (cause) {
      signal.throwIfAborted();
      const text = `VM ${record.id.slice(0, 12)}: adopt: ${messageOf(cause)}`;
      throw new HyperError(
        isAlive(record.pid, record.startTicks) ? 'UNAVAILABLE' : 'NOT_FOUND',
        text,
        { cause },
      );
    }
  }
}

async function requireFiles(config: VmConfig): Promise<void> {
  const files = [
    ['kernel', config.kernelPath],
    ['initrd', config.initrdPath],
    ...config.devices.flatMap((device) =>
      device.kind === 'disk' ? [[`disk ${device.id}`, device.path] as const] : [],
    ),
  ] as const;
  for (const [what, file] of files) {
    try {
      await access(file, constants.R_OK);
    } catch (cause) {
      const text = `VM ${config.id.slice(0, 12)}: launch: ${what} file ${file} cannot be read`;
      throw new HyperError('UNAVAILABLE', text, { cause });
    }
  }
}
