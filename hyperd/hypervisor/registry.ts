import { HyperError } from '../base/error.ts';
import type { HypervisorDriver } from './driver.ts';
import { openQemuDriver, type QemuDriverConfig } from './qemu/driver.ts';

/** Opens a driver by the name that the configuration gives; the only place that names drivers. */
export function openDriver(name: string, config: QemuDriverConfig): Promise<HypervisorDriver> {
  if (name === 'qemu') return openQemuDriver(config);
  throw new HyperError('INVALID_ARGUMENT', `hypervisor: "${name}" is not known; there is: qemu`);
}
