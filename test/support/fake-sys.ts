import type {
  AsideStep,
  Channel,
  ChannelHandlers,
  ChildExit,
  MemorySize,
  MountOptions,
  NetworkSys,
  OpenedPath,
  SpawnedProcess,
  SpawnOptions,
  Sys,
} from '../../hyperstart/sys/sys.ts';
import { SysError } from '../../hyperstart/sys/sys.ts';
import { FakeChannel } from './fake-channel.ts';
import { FakeFileSystem } from './fake-file-system.ts';
import { FakeVirtioBus, type NetworkDevice } from './fake-virtio-bus.ts';

const cgroupRoot = '/sys/fs/cgroup';
/** Control files that a new cgroup has, with what they hold at first. */
const cgroupFiles: Readonly<Record<string, string>> = {
  'cgroup.controllers': 'cpuset cpu io memory pids',
  'cgroup.subtree_control': '',
  'cgroup.procs': '',
  'cgroup.events': 'populated 0\nfrozen 0',
  'cgroup.freeze': '0',
  'cgroup.kill': '',
  'memory.oom.group': '0',
  'memory.max': 'max',
  'memory.swap.max': 'max',
  'memory.low': '0',
  'memory.current': '0',
  'memory.events': 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0',
  'cpu.max': 'max 100000',
  'cpu.weight': '100',
  'cpuset.cpus': '',
  'cpuset.mems': '',
  'pids.max': 'max',
};

/** Where the content of the rootfs comes from when an overlay is mounted. */
export const imagePath = '/test-image';

/** The VM is off: nothing runs after powerOff. */
class PoweredOff extends Error {}

/** A guest kernel in memory, for everything of hyperstart outside its sys folder. */
export class FakeSys implements Sys {
  readonly files = new FakeFileSystem();
  /** Everything that was done, in order, one line each. */
  readonly journal: string[] = [];
  readonly console: string[] = [];
  readonly mounts: MountOptions[] = [];
  readonly spawned: SpawnOptions[] = [];
  readonly channel = new FakeChannel();
  readonly virtio = new FakeVirtioBus(this.files, (uevent) => {
    this.emitUevent(uevent);
  });
  /** Device programs by cgroup. */
  readonly devicePrograms = new Map<string, ArrayBuffer>();
  /** Thrown by the next call of this name. */
  readonly failures = new Map<string, Error>();
  isOff = false;
  /** Processes do not stand still at once when their cgroup is frozen. */
  freezeDelayed = false;
  now = 100;
  #nextPid = 40;
  readonly #running = new Map<number, SpawnOptions>();
  readonly #childListeners: ((exit: ChildExit) => void)[] = [];
  readonly #ueventListeners: ((uevent: string) => void)[] = [];
  readonly #priorityWatches = new Map<string, Set<() => void>>();
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  constructor() {
    for (const path of ['/proc', '/dev', '/run', imagePath]) {
      this.files.putDirectory(path);
    }
    this.files.put('/proc/pressure/memory', 'some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n');
    this.files.put('/proc/sys/vm/max_map_count', '65530');
    this.files.put('/proc/sys/vm/compaction_proactiveness', '20');
    this.#makeCgroup(cgroupRoot);
  }

  // --- For tests ---

  /** Puts a disk of this serial in, as hot-plug does. */
  plugDisk(name: string, serial: string): void {
    this.virtio.plug({ driver: 'virtio_blk', serial }, name);
  }

  plugNic(index: number, name: string, macAddress: string): void {
    this.virtio.plug({ driver: 'virtio_net', macAddress }, name, index);
  }

  get nics(): readonly NetworkDevice[] {
    return this.virtio.nics;
  }

  emitUevent(uevent: string): void {
    for (const listener of this.#ueventListeners) listener(uevent);
  }

  firePriorityEvent(path: string): void {
    for (const callback of [...(this.#priorityWatches.get(path) ?? [])]) callback();
  }

  get watchedPaths(): readonly string[] {
    return [...this.#priorityWatches].filter(([, set]) => set.size > 0).map(([path]) => path);
  }

  endProcess(pid: number, how: { exitCode?: number; signal?: number } = {}): void {
    this.#running.delete(pid);
    const { exitCode = 0, signal = null } = how;
    const exit = { pid, exitCode: signal === null ? exitCode : null, signal };
    for (const listener of this.#childListeners) listener(exit);
  }

  /** Lets time pass: due timers fire in order, those that they set too. */
  advance(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.now = Math.max(this.now, due.at);
      try {
        due.callback();
      } catch (error) {
        if (!(error instanceof PoweredOff)) throw error;
      }
    }
    this.now = end;
  }

  // --- Sys ---

  leaveFirstRoot(): void {
    this.journal.push('leave the first root');
  }

  startedMs(): number {
    return 80;
  }

  uptimeMs(): number {
    return this.now;
  }

  setClock(unixMs: number): void {
    this.journal.push(`clock ${String(unixMs)}`);
  }

  addEntropy(base64: string): void {
    this.journal.push(`entropy ${base64}`);
  }

  kernelRelease(): string {
    return '6.12.0-fake';
  }

  memory(): MemorySize {
    return { totalKiB: 113000, freeKiB: 97000 };
  }

  setHostname(name: string): void {
    this.#throwPlanned('setHostname');
    this.journal.push(`hostname ${name}`);
  }

  setDomainname(name: string): void {
    this.journal.push(`domainname ${name}`);
  }

  sync(): void {
    this.journal.push('sync');
  }

  powerOff(): never {
    this.isOff = true;
    this.journal.push('power off');
    throw new PoweredOff('the VM is off');
  }

  log(line: string): void {
    this.console.push(line);
  }

  readFile(path: string): string {
    return this.files.read(path);
  }

  writeFile(path: string, text: string, mode?: number): void {
    this.#throwPlanned(`write ${path}`);
    if (/disable_ipv6$|virtio_net/.test(path)) this.journal.push(`write ${path} ${text}`);
    if (path.endsWith('/disable_ipv6')) return;
    this.files.write(path, text, mode);
    if (path.startsWith('/sys/bus/virtio/drivers/')) this.virtio.written(path, text);
    if (!path.startsWith(cgroupRoot)) return;
    const directory = path.slice(0, path.lastIndexOf('/'));
    if (path.endsWith('/cgroup.freeze') && !this.freezeDelayed) {
      this.files.write(`${directory}/cgroup.events`, `populated 1\nfrozen ${text}`);
    }
    if (path.endsWith('/cgroup.kill')) this.#killCgroup(directory);
  }

  readDirectory(path: string): readonly string[] {
    return this.files.list(path);
  }

  makeDirectory(path: string, mode: number): void {
    this.files.makeDirectory(path, mode);
    if (path.startsWith(`${cgroupRoot}/`)) this.#makeCgroup(path);
  }

  removeDirectory(path: string): void {
    if (path.startsWith(`${cgroupRoot}/`)) {
      for (const name of Object.keys(cgroupFiles)) this.files.removeFile(`${path}/${name}`);
    }
    this.files.removeDirectory(path);
  }

  removeFile(path: string): void {
    this.files.removeFile(path);
  }

  symbolicLink(target: string, path: string): void {
    this.files.makeLink(target, path);
  }

  makeNode(path: string, mode: number, major: number, minor: number): void {
    // As with the umask of PID 1.
    this.files.makeNode(path, mode & ~0o022, major, minor);
  }

  changeOwner(path: string, uid: number, gid: number): void {
    this.files.change(path, { uid, gid });
  }

  changeMode(path: string, mode: number): void {
    const type = (this.files.status(path, true)?.mode ?? 0) & 0o070000;
    this.files.change(path, { mode: type | mode });
  }

  fileStatus: Sys['fileStatus'] = (path) => this.files.status(path, false);
  targetStatus: Sys['targetStatus'] = (path) => this.files.status(path, true);

  mount(options: MountOptions): void {
    this.#throwPlanned(`mount ${options.target}`);
    this.files.list(options.target);
    this.mounts.push(options);
    this.journal.push(`mount ${options.type} ${options.source} ${options.target}`);
    if (options.type === 'overlay') this.files.copy(imagePath, options.target);
  }

  aside(steps: readonly AsideStep[]): () => void {
    let failure: SysError | null = null;
    for (const step of steps) {
      if (failure !== null) break;
      try {
        if (step.kind === 'mount') this.mount(step.mount);
        else if (step.kind === 'write') this.writeFile(step.path, step.text);
        else if (this.fileStatus(step.path) === null) this.makeDirectory(step.path, 0o755);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        failure = new SysError(step.action, error.errno, error.detail);
      }
    }
    return () => {
      if (failure !== null) throw failure;
    };
  }

  unmount(target: string, lazy: boolean): void {
    this.#throwPlanned(`unmount ${target}`);
    const index = this.mounts.findLastIndex((mount) => mount.target === target);
    if (index < 0) throw new SysError(`unmount ${target}`, 'EINVAL', 'not a mount point');
    this.mounts.splice(index, 1);
    this.files.removeTree(target);
    this.journal.push(`unmount ${target}${lazy ? ' (lazy)' : ''}`);
  }

  findInRoot(root: string, path: string): OpenedPath | null {
    return this.files.findInRoot(root, path);
  }

  makeInRoot(root: string, path: string): OpenedPath {
    return this.files.makeInRoot(root, path);
  }

  closePath(path: OpenedPath): void {
    this.files.close(path.fd);
  }

  openChannel(portName: string, handlers: ChannelHandlers): Channel {
    this.#throwPlanned('openChannel');
    this.journal.push(`channel ${portName}`);
    this.channel.handlers = handlers;
    return this.channel;
  }

  onChildExit(callback: (exit: ChildExit) => void): void {
    this.#childListeners.push(callback);
  }

  onUevent(callback: (uevent: string) => void): void {
    this.#ueventListeners.push(callback);
  }

  onPriorityEvent(path: string, _trigger: string | null, callback: () => void): () => void {
    this.files.read(path);
    const watches = this.#priorityWatches.get(path) ?? new Set();
    this.#priorityWatches.set(path, watches.add(callback));
    return () => watches.delete(callback);
  }

  setTimer(milliseconds: number, callback: () => void): void {
    this.#timers.push({ at: this.now + milliseconds, callback });
  }

  limitDevices(cgroup: string, program: ArrayBuffer): void {
    this.#throwPlanned('limitDevices');
    this.devicePrograms.set(cgroup, program);
    this.journal.push(`limit devices of ${cgroup}`);
  }

  spawn(options: SpawnOptions): SpawnedProcess {
    this.#throwPlanned('spawn');
    const pid = this.#nextPid++;
    this.spawned.push(options);
    this.#running.set(pid, options);
    this.journal.push(`spawn ${options.args.join(' ')}`);
    this.files.put(
      `/proc/${String(pid)}/cgroup`,
      `0::${options.cgroup.slice(cgroupRoot.length)}\n`,
    );
    if (options.namespaces.kind === 'new') {
      this.files.putLink(`/proc/${String(pid)}/root`, options.namespaces.root);
    }
    const fd = pid * 10;
    const isTerminal = options.terminal !== null;
    const pipe = (kind: 'pipe' | 'null', at: number): number | null =>
      kind === 'pipe' && !isTerminal ? fd + at : null;
    return {
      pid,
      stdin: pipe(options.stdin, 0),
      stdout: pipe(options.stdout, 1),
      stderr: pipe(options.stderr, 2),
      terminal: isTerminal ? fd + 3 : null,
    };
  }

  signalProcess(pid: number, signal: number): void {
    this.#throwPlanned(`signal ${String(pid)}`);
    this.journal.push(`signal ${String(pid)} ${String(signal)}`);
  }

  resizeTerminal(terminal: number, rows: number, columns: number): void {
    this.journal.push(`resize ${[terminal, rows, columns].join(' ')}`);
  }

  closeTerminal(terminal: number): void {
    this.journal.push(`close terminal ${String(terminal)}`);
  }

  readonly network: NetworkSys = {
    indexByMacAddress: (macAddress) =>
      this.nics.find((nic) => nic.macAddress === macAddress)?.index ?? null,
    rename: (index, name) => {
      this.virtio.rename(index, name);
      this.journal.push(`rename ${String(index)} ${name}`);
    },
    setMacAddress: (index, macAddress) => {
      this.virtio.setMacAddress(index, macAddress);
      this.journal.push(`mac ${String(index)} ${macAddress}`);
    },
    setUp: (index, mtu) => this.journal.push(`up ${String(index)} ${String(mtu)}`),
    addAddress: (index, cidr) => this.journal.push(`address ${String(index)} ${cidr}`),
    addRoute: (destination, gateway, index) =>
      this.journal.push(`route ${destination} ${gateway} ${String(index)}`),
  };

  #throwPlanned(call: string): void {
    const failure = this.failures.get(call);
    this.failures.delete(call);
    if (failure !== undefined) throw failure;
  }

  #makeCgroup(path: string): void {
    for (const [name, text] of Object.entries(cgroupFiles)) this.files.put(`${path}/${name}`, text);
  }

  #killCgroup(directory: string): void {
    for (const [pid, { cgroup }] of [...this.#running]) {
      if (!`${cgroup}/`.startsWith(`${directory}/`)) continue;
      queueMicrotask(() => {
        this.endProcess(pid, { signal: 9 });
      });
    }
  }
}
