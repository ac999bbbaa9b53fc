import { sharedHalfBytes } from '../protocol/frame.ts';
import { AT_FDCWD, O_CLOEXEC, O_RDWR } from './constants.ts';
import type { Files } from './files.ts';
import type { Kernel } from './kernel.ts';

/** Where the driver of the hypervisor puts the device (QEMU: ivshmem-plain); nothing else can be there. */
const device = '/sys/bus/pci/devices/0000:00:1e.0';
/** QEMU, "Device Specification for Inter-VM shared memory device": BAR 2 is the memory. */
const memoryFile = `${device}/resource2`;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

/** Maps the memory that the host says it shares with us (protocol/frame.ts); returns its address. Needs /sys. */
export function mapSharedMemory(kernel: Kernel, files: Files): number {
  const size = 2 * sharedHalfBytes;
  // No driver of the kernel's has done so: the device would not answer.
  files.writeFile(`${device}/enable`, '1');
  const flags = O_RDWR | O_CLOEXEC;
  const fd = kernel.call('open the shared memory', 'openat', AT_FDCWD, memoryFile, flags, 0);
  try {
    const how = [PROT_READ_WRITE, MAP_SHARED, fd, 0] as const;
    return kernel.call('map the shared memory', 'mmap', null, size, ...how);
  } finally {
    kernel.close(fd);
  }
}
