import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { buildKernel, kernelInputs, readRequests } from '../../../kernel-config/build.ts';

describe('buildKernel', () => {
  let cacheDirectory: string;

  beforeEach(async () => {
    cacheDirectory = await mkdtemp(path.join(tmpdir(), 'hyper-kernel-'));
  });

  afterEach(async () => {
    await rm(cacheDirectory, { recursive: true });
  });

  it('returns a cached kernel without building, silently, and writes nothing', async () => {
    const { inputsHash } = await kernelInputs(false);
    const directory = path.join(cacheDirectory, 'kernel', inputsHash);
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'version.json'), '{"version":"6.12.1-hyper"}');
    const lines: string[] = [];
    const onProgress = (line: string): void => void lines.push(line);
    const kernel = await buildKernel({ cacheDirectory, jobs: 1, onProgress });
    expect(kernel).toEqual({
      vmlinuxPath: path.join(directory, 'vmlinux'),
      version: '6.12.1-hyper',
      inputsHash,
    });
    expect(lines).toEqual([]);
    expect(await readdir(path.join(cacheDirectory, 'kernel'))).toEqual([inputsHash]);
  });

  it('keeps the debug kernel apart', async () => {
    const [normal, debug] = await Promise.all([kernelInputs(false), kernelInputs(true)]);
    expect(debug.inputsHash).not.toBe(normal.inputsHash);
  });
});

describe('readRequests', () => {
  it('asks for what is promised of HyperKernel', async () => {
    const requests = await readRequests(false);
    const on = new Set(requests.filter(({ value }) => value === 'y').map(({ name }) => name));
    const promised = promisedSymbols.map((name) => `CONFIG_${name}`);
    expect(promised.filter((name) => !on.has(name))).toEqual([]);
  });

  it('switches off what a hostile container must not find', async () => {
    const requests = await readRequests(false);
    const off = new Set(requests.filter(({ value }) => value === null).map(({ name }) => name));
    const forbidden = ['MODULES', 'DEVMEM', 'DEVPORT', 'DEBUG_FS', 'KEXEC', 'PROC_KCORE'];
    expect(forbidden.filter((name) => !off.has(`CONFIG_${name}`))).toEqual([]);
  });
});

const promisedSymbols = `
  PVH VIRTIO_PCI VIRTIO_MMIO VIRTIO_BLK SCSI_VIRTIO VIRTIO_NET VIRTIO_CONSOLE HW_RANDOM_VIRTIO
  VIRTIO_BALLOON PAGE_REPORTING VIRTIO_MEM VIRTIO_PMEM VIRTIO_VSOCKETS VIRTIO_FS NET_9P_VIRTIO
  OVERLAY_FS EROFS_FS EROFS_FS_XATTR EROFS_FS_POSIX_ACL EROFS_FS_ZIP EXT4_FS EXT4_FS_POSIX_ACL
  EXT4_FS_SECURITY TMPFS FUSE_FS NAMESPACES UTS_NS IPC_NS PID_NS NET_NS USER_NS TIME_NS
  CGROUPS CGROUP_SCHED CFS_BANDWIDTH FAIR_GROUP_SCHED MEMCG BLK_CGROUP BLK_DEV_THROTTLING CGROUP_PIDS
  CPUSETS CGROUP_HUGETLB CGROUP_DEVICE CGROUP_FREEZER CGROUP_CPUACCT CGROUP_BPF SECCOMP_FILTER
  BPF_SYSCALL KEYS NF_TABLES NF_CONNTRACK NFT_NAT NFT_MASQ NFT_REJECT NFT_COMPAT NF_NAT
  BRIDGE BRIDGE_NETFILTER BRIDGE_VLAN_FILTERING VETH TUN MACVLAN IPVLAN VXLAN DUMMY IPV6
  IP_NF_FILTER IP_NF_MANGLE IP_NF_RAW IP_NF_NAT IP_NF_TARGET_MASQUERADE IP_NF_TARGET_REDIRECT
  IP6_NF_FILTER IP6_NF_MANGLE IP6_NF_RAW IP6_NF_NAT IP6_NF_TARGET_MASQUERADE NETFILTER_XT_MARK
  NETFILTER_XT_MATCH_ADDRTYPE NETFILTER_XT_MATCH_CONNTRACK NETFILTER_XT_MATCH_BPF
  IO_URING INOTIFY_USER FANOTIFY PSI BINFMT_MISC POSIX_MQUEUE SYSVIPC KVM_GUEST PTP_1588_CLOCK_KVM
  VMGENID HOTPLUG_PCI HOTPLUG_PCI_PCIE HOTPLUG_PCI_ACPI ACPI_HOTPLUG_CPU ACPI_HOTPLUG_MEMORY
  MEMORY_HOTPLUG XEN_BLKDEV_FRONTEND XEN_NETDEV_FRONTEND HVC_XEN VBOXGUEST SATA_AHCI
  RANDOMIZE_BASE RANDOMIZE_MEMORY STRICT_KERNEL_RWX STACKPROTECTOR_STRONG HARDENED_USERCOPY
`
  .trim()
  .split(/\s+/);
