import {
  AT_FDCWD,
  BPF_CGROUP_DEVICE,
  BPF_F_ALLOW_MULTI,
  BPF_PROG_ATTACH,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_CGROUP_DEVICE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
} from './constants.ts';
import { type Kernel, setUint64, struct } from './kernel.ts';

const instructionBytes = 8;
/** Of union bpf_attr: as far as the fields that we set, the rest counts as zero. */
const loadBytes = 32;
const attachBytes = 16;

/** Puts every process of a cgroup and of those below it under a device program. */
export function limitDevices(kernel: Kernel, cgroup: string, program: ArrayBuffer): void {
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const group = kernel.call(`open ${cgroup}`, 'openat', AT_FDCWD, cgroup, flags, 0);
  try {
    const loaded = load(kernel, program);
    try {
      attach(kernel, group, loaded);
    } finally {
      // The cgroup keeps the program.
      kernel.close(loaded);
    }
  } finally {
    kernel.close(group);
  }
}

function load(kernel: Kernel, program: ArrayBuffer): number {
  // An empty string: a licence matters only to programs that call the kernel's helpers.
  const license = new ArrayBuffer(1);
  const attributes = struct(loadBytes, (view) => {
    view.setUint32(0, BPF_PROG_TYPE_CGROUP_DEVICE, true);
    view.setUint32(4, program.byteLength / instructionBytes, true);
    setUint64(view, 8, kernel.native.addressOf(program));
    setUint64(view, 16, kernel.native.addressOf(license));
  });
  return kernel.call('load the device program', 'bpf', BPF_PROG_LOAD, attributes, loadBytes);
}

function attach(kernel: Kernel, group: number, program: number): void {
  const attributes = struct(attachBytes, (view) => {
    view.setUint32(0, group, true);
    view.setUint32(4, program, true);
    view.setUint32(8, BPF_CGROUP_DEVICE, true);
    // Containers within the container have programs of their own, which can only take away.
    view.setUint32(12, BPF_F_ALLOW_MULTI, true);
  });
  kernel.call('attach the device program', 'bpf', BPF_PROG_ATTACH, attributes, attachBytes);
}
