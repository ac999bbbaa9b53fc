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

/**
 * Puts the processes of cgroups under device programs. Most containers have the same one, which the kernel
 * takes long to verify: the last is kept, loaded.
 */
export class DeviceFilter {
  readonly #kernel: Kernel;
  #program: ArrayBuffer | null = null;
  #loaded = -1;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Every process of a cgroup, and of those below it. */
  limit(cgroup: string, program: ArrayBuffer): void {
    const kernel = this.#kernel;
    const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    const group = kernel.call(`open ${cgroup}`, 'openat', AT_FDCWD, cgroup, flags, 0);
    try {
      attach(kernel, group, this.#load(program));
    } finally {
      kernel.close(group);
    }
  }

  /** Descriptor of the program in the kernel. */
  #load(program: ArrayBuffer): number {
    if (this.#program !== null) {
      if (isSame(this.#program, program)) return this.#loaded;
      this.#program = null;
      this.#kernel.close(this.#loaded);
    }
    this.#loaded = load(this.#kernel, program);
    this.#program = program;
    return this.#loaded;
  }
}

function isSame(one: ArrayBuffer, other: ArrayBuffer): boolean {
  if (one.byteLength !== other.byteLength) return false;
  const bytes = new Uint8Array(other);
  return new Uint8Array(one).every((byte, index) => byte === bytes[index]);
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
