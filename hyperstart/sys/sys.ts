/** Memory of the VM. */
export interface MemorySize {
  readonly totalKiB: number;
  /** Without what could be freed. */
  readonly freeKiB: number;
}

/**
 * The mechanism that hyperstart stands on: what the C module offers to TypeScript. Everything outside
 * this folder gets a `Sys` handed in, so that it runs on Node with a fake one in tests. Only main.ts
 * imports the real one: `nativeSys` of native-sys.ts. An exception that leaves a callback, or a promise
 * rejection that nobody handles, ends hyperstart: its stack goes to the console and the VM resets.
 *
 * Failing calls throw SysError. All paths are bytes as UTF-8; all numbers fit in 53 bits.
 */
export interface Sys {
  /**
   * Moves to a bind mount of the first root over itself: pivot_root refuses to work from an initramfs,
   * which has no parent mount, and containers need it.
   */
  leaveFirstRoot(): void;
  /** When our process began to run, as `uptimeMs` would have told it. */
  startedMs(): number;
  /** Milliseconds since the kernel started (CLOCK_BOOTTIME), with a fraction. */
  uptimeMs(): number;
  setClock(unixMs: number): void;
  /** Mixes bytes (base64) into the kernel's random pool and credits them. */
  addEntropy(base64: string): void;
  kernelRelease(): string;
  memory(): MemorySize;
  setHostname(name: string): void;
  setDomainname(name: string): void;
  /** Syncs all filesystems. */
  sync(): void;
  /** Powers the VM off; does not return. */
  powerOff(): never;
  /** Writes a line to the kernel console. */
  log(line: string): void;

  /** Whole file as UTF-8 (invalid bytes replaced); at most maxBytes, default 1 MiB, else EFBIG. */
  readFile(path: string, maxBytes?: number): string;
  /** Writes to a file; creates it with `mode` when given, else it must exist (cgroup and proc files). */
  writeFile(path: string, text: string, mode?: number): void;
  /** Entry names without . and .. */
  readDirectory(path: string): readonly string[];
  makeDirectory(path: string, mode: number): void;
  removeDirectory(path: string): void;
  removeFile(path: string): void;
  symbolicLink(target: string, path: string): void;
  makeNode(path: string, mode: number, major: number, minor: number): void;
  changeOwner(path: string, uid: number, gid: number): void;
  changeMode(path: string, mode: number): void;
  /** null when nothing is there; does not follow a final symbolic link. */
  fileStatus(path: string): FileStatus | null;
  /** As fileStatus, but follows a final symbolic link (stat(2)), so that it also takes OpenedPath.path. */
  targetStatus(path: string): FileStatus | null;
  mount(options: MountOptions): void;
  /**
   * Takes steps one after the other while the caller goes on. What it returns waits for the end, and throws
   * for the first step that failed; what the ones before it did stays.
   */
  aside(steps: readonly AsideStep[]): () => void;
  unmount(target: string, lazy: boolean): void;

  /**
   * Resolves a path inside a root as if chrooted (symbolic links never leave it; openat2
   * RESOLVE_IN_ROOT) and returns a path of the form /proc/self/fd/N that stays valid until
   * `closePath(N)`; null when it leads to nothing.
   */
  findInRoot(root: string, path: string): OpenedPath | null;
  /** The same for a directory, made with its parents where it is missing. */
  makeInRoot(root: string, path: string): OpenedPath;
  closePath(path: OpenedPath): void;

  /**
   * Starts the frame pump on the virtio-serial port of this name, as soon as that appears (needs /sys
   * and /dev mounted); `handlers` are called from the event loop, never from within a call.
   */
  openChannel(portName: string, handlers: ChannelHandlers): Channel;
  /** Calls back when a child (or adopted orphan) has ended and all of it is reaped. */
  onChildExit(callback: (exit: ChildExit) => void): void;
  /** Calls back on each kernel uevent: the line `add@/devices/…`, then lines of `KEY=value`. */
  onUevent(callback: (uevent: string) => void): void;
  /** Calls back when the file (cgroup `memory.events`, PSI trigger) has a priority event; returns a stop function. */
  onPriorityEvent(path: string, trigger: string | null, callback: () => void): () => void;
  /** One-shot timer. */
  setTimer(milliseconds: number, callback: () => void): void;

  /**
   * Puts the processes of a cgroup (v2 directory), and of those below it, under an eBPF program of type
   * BPF_PROG_TYPE_CGROUP_DEVICE; it stays with the group.
   */
  limitDevices(cgroup: string, program: ArrayBuffer): void;

  /** Starts a process; returns after the child has executed its program, throws SpawnError when it could not. */
  spawn(options: SpawnOptions): SpawnedProcess;
  signalProcess(pid: number, signal: number): void;
  resizeTerminal(terminal: number, rows: number, columns: number): void;
  closeTerminal(terminal: number): void;

  network: NetworkSys;
}

export interface FileStatus {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
}

export interface MountOptions {
  readonly source: string;
  readonly target: string;
  /** '' for bind and remount. */
  readonly type: string;
  /** MS_* bits (mount-flags.ts). */
  readonly flags: number;
  readonly data: string;
}

/** A directory to be made, unless it is there; a mount; or a text to be written to a file that is there. */
export type AsideStep = {
  /** What an error says was being done. */
  readonly action: string;
} & (
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'mount'; readonly mount: MountOptions }
  | { readonly kind: 'write'; readonly path: string; readonly text: string }
);

export interface OpenedPath {
  readonly fd: number;
  readonly path: string;
}

export interface ChannelHandlers {
  /** A host connected and sent its preamble: unacknowledged output is about to be sent again after `Channel.accept`. */
  readonly onSession: () => void;
  /** One whole JSON message (text, size-checked by the pump). */
  readonly onMessage: (text: string) => void;
  readonly onDisconnect: () => void;
  /** The stream's data is all with the host (acknowledged) and its source is at its end. */
  readonly onStreamDrained: (streamId: number) => void;
  /** The peer broke the frame rules; the session is over, the next one may come. */
  readonly onProtocolError: (reason: string) => void;
}

/** The pump moves stream bytes between descriptors and the port without JavaScript. */
export interface Channel {
  /**
   * Sends our preamble and the hello, then everything unacknowledged; streams flow from now on, by way of
   * shared memory where the host has some for us.
   */
  accept(helloText: string, hasSharedMemory: boolean): void;
  /**
   * Queues one message frame; messages overtake stream data but never one another. Without an accepted
   * session the message is dropped: the next hello tells the state.
   */
  send(text: string): void;
  /**
   * Guest to host: reads from `fd` under flow control, then EOF. The pump owns `fd` from now on, except
   * a spawned process's `terminal`: of that it takes a duplicate, and the caller still closes its own.
   */
  addSource(streamId: number, fd: number): void;
  /** Host to guest: writes to `fd` (owned as in addSource); closes it after EOF. For a terminal EOF is ignored. */
  addSink(streamId: number, fd: number, isTerminal: boolean): void;
  /** Stops and forgets a stream, closing its descriptor; unknown ids are ignored. */
  removeStream(streamId: number): void;
  /** True when everything was read from the stream's source, and for unknown streams. */
  isSourceAtEnd(streamId: number): boolean;
}

export interface ChildExit {
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: number | null;
}

export interface SpawnOptions {
  /** Absolute path inside the root, already resolved. */
  readonly executable: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Bit mask as two 32-bit halves: the bounding set, and effective and permitted when uid is 0. */
  readonly capabilitiesLow: number;
  readonly capabilitiesHigh: number;
  readonly noNewPrivileges: boolean;
  readonly seccompProgram: string | null;
  readonly rlimits: readonly {
    readonly resource: number;
    readonly soft: number;
    readonly hard: number;
  }[];
  readonly oomScoreAdj: number;
  /** cgroup v2 directory that the child is created in (clone3 CLONE_INTO_CGROUP); '' for none. */
  readonly cgroup: string;
  readonly terminal: { readonly rows: number; readonly columns: number } | null;
  readonly stdin: 'pipe' | 'null';
  readonly stdout: 'pipe' | 'null';
  readonly stderr: 'pipe' | 'null';
  /** Run as a minimal PID 1 that starts the program as its child, forwards signals and reaps. */
  readonly init: boolean;
  readonly namespaces: NewNamespaces | JoinedNamespaces;
}

/** First process of a container: new namespaces, then the prepared root. */
export interface NewNamespaces {
  readonly kind: 'new';
  readonly hostname: string;
  readonly domainname: string;
  readonly cgroupNamespace: boolean;
  /** Directory that becomes / by pivot_root; everything is mounted in it already except what `mounts` adds. */
  readonly root: string;
  readonly readOnlyRoot: boolean;
  /**
   * Made inside the new namespaces, in order, before pivot_root: proc, mqueue, sysfs, cgroup2, … Targets are
   * paths in the container, resolved without leaving its root and created when missing; sources are the
   * VM's. A bind mount with further flags (read-only …) gets them by a remount.
   */
  readonly mounts: readonly MountOptions[];
  /** Masked with /dev/null or an empty read-only tmpfs; missing ones are skipped. Paths in the container. */
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  /** Written under /proc/sys after the namespaces exist: name with dots, value. */
  readonly sysctls: readonly (readonly [string, string])[];
}

/** An exec: joins the namespaces and root of the container's first process. */
export interface JoinedNamespaces {
  readonly kind: 'join';
  readonly pid: number;
}

export interface SpawnedProcess {
  readonly pid: number;
  /** Our ends, to be given to the pump; null where it is /dev/null. With a terminal only `terminal` is set. */
  readonly stdin: number | null;
  readonly stdout: number | null;
  readonly stderr: number | null;
  readonly terminal: number | null;
}

/** Rtnetlink, one synchronous call each. */
export interface NetworkSys {
  /** Interface index by MAC address, or null. */
  indexByMacAddress(macAddress: string): number | null;
  rename(index: number, name: string): void;
  /** Of an interface that is down. */
  setMacAddress(index: number, macAddress: string): void;
  setUp(index: number, mtu: number): void;
  /** CIDR, IPv4 or IPv6 (IPv6 without duplicate address detection). */
  addAddress(index: number, cidr: string): void;
  addRoute(destination: string, gateway: string, index: number): void;
}

/** A failed system call: `errno` is the symbolic name, such as ENOENT. */
export class SysError extends Error {
  readonly operation: string;
  readonly errno: string;
  readonly detail: string;

  constructor(operation: string, errno: string, detail: string) {
    super(`${operation}: ${detail}`);
    this.name = 'SysError';
    this.operation = operation;
    this.errno = errno;
    this.detail = detail;
  }
}

/** The child could not get as far as its program: `step` names what failed, such as `execve` or `chdir`. */
export class SpawnError extends SysError {
  readonly step: string;

  constructor(step: string, errno: string, detail: string) {
    super(`spawn: ${step}`, errno, detail);
    this.name = 'SpawnError';
    this.step = step;
  }
}
