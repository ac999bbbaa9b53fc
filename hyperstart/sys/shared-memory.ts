import { sharedHalfBytes } from '../protocol/frame.ts';
import { AT_FDCWD, O_CLOEXEC, O_RDWR } from './constants.ts';
import { type Kernel, struct } from './kernel.ts';

/** Where the driver of the hypervisor puts the device (QEMU: ivshmem-plain); nothing else can be there. */
const device = '/sys/bus/pci/devices/0000:00:1e.0';
/** QEMU, "Device Specification for Inter-VM shared memory device": BAR 2 is the memory. */
const memoryFile = `${device}/resource2`;

/** PCI Local Bus Specification, 6.2.2. */
const PCI_COMMAND = 4;
const PCI_COMMAND_MEMORY = 2;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

/** Maps the memory that the host says it shares with us (protocol/frame.ts); returns its address. Needs /sys. */
export function mapSharedMemory(kernel: Kernel): number {
  const size = 2 * sharedHalfBytes;
  const flags = O_RDWR | O_CLOEXEC;
  enableMemory(kernel);
  const fd = kernel.call('open the shared memory', 'openat', AT_FDCWD, memoryFile, flags, 0);
  try {
    const how = [PROT_READ_WRITE, MAP_SHARED, fd, 0] as const;
    return kernel.call('map the shared memory', 'mmap', null, size, ...how);
  } finally {
    kernel.close(fd);
  }
}

/**
 * Has the device answer, as a driver would: the kernel has none for it. Its `enable` in sysfs would do so, too,
 * and have ACPI code look for an interrupt, at which an emulated processor is slow.
 */
function enableMemory(kernel: Kernel): void {
  const flags = O_RDWR | O_CLOEXEC;
  const file = `${device}/config`;
  const fd = kernel.call('open the device of shared memory', 'openat', AT_FDCWD, file, flags, 0);
  const command = struct(2, (view) => {
    view.setUint16(0, PCI_COMMAND_MEMORY, true);
  });
  try {
    kernel.call('enable shared memory', 'pwrite64', fd, command, 2, PCI_COMMAND);
  } finally {
    kernel.close(fd);
  }
}
