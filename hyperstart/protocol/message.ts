/**
 * The messages between hyperd (client) and hyperstart (server). `parse.ts` turns untrusted bytes into
 * these types, on both sides. Stream ids, container ids and exec ids are chosen by hyperd.
 */

/** First message of a session, from hyperd. */
export interface HostHello {
  readonly type: 'hello';
  readonly protocolVersion: number;
  /** The host sees the VM's device of shared memory (frame.ts). */
  readonly sharedMemory: boolean;
}

/** Answer to HostHello: what is (still) running, so that a restarted hyperd can adopt the VM. */
export interface GuestHello {
  readonly type: 'hello';
  readonly protocolVersion: number;
  readonly kernelRelease: string;
  /** Milliseconds since the kernel started, by name of the phase that ended then. */
  readonly bootTimeline: Readonly<Record<string, number>>;
  /** Memory at the first hello: a clone tells that of its template. */
  readonly memoryTotalKiB: number;
  readonly memoryFreeKiB: number;
  readonly processes: readonly ProcessStatus[];
}

export interface ProcessStatus {
  readonly containerId: string;
  /** null: the container's own first process. */
  readonly execId: string | null;
  readonly streams: StdioStreams;
  /** null while it runs. */
  readonly exit: ProcessExit | null;
}

export interface Request<M extends MethodName = MethodName> {
  readonly type: 'request';
  readonly id: number;
  readonly method: M;
  readonly params: Methods[M]['params'];
}

export interface Response {
  readonly type: 'response';
  readonly id: number;
  readonly result: unknown;
}

export interface ErrorResponse {
  readonly type: 'error';
  readonly id: number;
  readonly code: AgentErrorCode;
  readonly message: string;
}

/** Gives up on a request: the agent undoes what it can and answers with an error as soon as it may. */
export interface Cancel {
  readonly type: 'cancel';
  readonly id: number;
}

export const agentErrorCodes = [
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'INVALID_STATE',
  'UNSUPPORTED',
  'INTERNAL',
  /** The command does not exist in the container (Docker: exit code 127). */
  'COMMAND_NOT_FOUND',
  /** The command is there but cannot be executed (Docker: exit code 126). */
  'COMMAND_NOT_EXECUTABLE',
  'CANCELLED',
] as const;
export type AgentErrorCode = (typeof agentErrorCodes)[number];

export interface ProcessExit {
  /** 0–255; 128 + signal when it was killed by one, as a shell tells it. */
  readonly exitCode: number;
  /** Number of the signal that killed it, else null. */
  readonly signal: number | null;
  readonly oomKilled: boolean;
}

/** Facts pushed by the agent. An exit comes only after all output of the process was sent. */
export type AgentEvent =
  | {
      readonly type: 'event';
      readonly event: 'exit';
      readonly containerId: string;
      readonly execId: string | null;
      readonly exit: ProcessExit;
    }
  | { readonly type: 'event'; readonly event: 'oom'; readonly containerId: string }
  | {
      readonly type: 'event';
      readonly event: 'pressure';
      readonly resource: 'memory';
      /** Share of the last 10 s that some task stalled, percent. */
      readonly someAvg10: number;
    };

export type HostMessage = HostHello | Request | Cancel;
export type GuestMessage = GuestHello | Response | ErrorResponse | AgentEvent;

/** Every method with its parameters and result. */
export interface Methods {
  /** Configures the pod (first start only) and starts a container: one request for the whole start path. */
  start: { params: StartParams; result: StartResult };
  /** Starts a further process in a running container. */
  exec: { params: ExecParams; result: ExecResult };
  /** Sends a signal to a process; with `all`, to every process of the container. */
  signal: { params: SignalParams; result: Empty };
  resize: { params: ResizeParams; result: Empty };
  /** Freezes and thaws the container's cgroup. */
  pause: { params: ContainerParams; result: Empty };
  resume: { params: ContainerParams; result: Empty };
  stats: { params: ContainerParams; result: ContainerStats };
  processes: { params: ContainerParams; result: ProcessList };
  /** Closes a stdin stream for good without data loss, or forgets the streams of an exited process. */
  release: { params: ProcessRef; result: Empty };
  /**
   * Makes the VM blank again: no container may be left; disks and NICs lose their drivers until a
   * `start` asks for them, and the pod is to be configured anew.
   */
  park: { params: Empty; result: Empty };
  /** Gives back what is only cached, and what is free but scattered, unless that is little. */
  trim: { params: Empty; result: Empty };
  /** Kills what is left, syncs and unmounts the disks, answers, then powers the VM off. */
  shutdown: { params: Empty; result: Empty };
}
export type MethodName = keyof Methods;

export type Empty = Readonly<Record<string, never>>;

export interface ContainerParams {
  readonly containerId: string;
}

export interface ProcessRef {
  readonly containerId: string;
  readonly execId: string | null;
}

export interface SignalParams extends ProcessRef {
  readonly signal: number;
  readonly all: boolean;
}

export interface ResizeParams extends ProcessRef {
  readonly rows: number;
  readonly columns: number;
}

export interface StartParams {
  /** null when the pod is configured already (a further container of the same pod, or a restart). */
  readonly pod: PodConfig | null;
  readonly container: ContainerConfig;
}

export interface StartResult {
  /** Process id as the VM's root PID namespace sees it. */
  readonly pid: number;
  /** Milliseconds spent, by phase: `network`, `mounts`, `process`. */
  readonly timeline: Readonly<Record<string, number>>;
}

export interface PodConfig {
  readonly hostname: string;
  /** Wall clock to set, milliseconds since the Unix epoch. */
  readonly clockUnixMs: number;
  /** Base64 of fresh random bytes that are mixed into the guest's pool and credited. */
  readonly entropy: string;
  readonly interfaces: readonly InterfaceConfig[];
  readonly routes: readonly RouteConfig[];
}

export interface InterfaceConfig {
  /** Name that the guest sees, such as `eth0`. */
  readonly name: string;
  /** Address to use, `aa:bb:cc:dd:ee:ff`. */
  readonly macAddress: string;
  /** The NIC is found by this address: its hardware's own, which all clones of a template share. */
  readonly deviceMacAddress: string;
  readonly mtu: number;
  /** CIDR notation, IPv4 or IPv6. */
  readonly addresses: readonly string[];
}

export interface RouteConfig {
  /** CIDR notation; `0.0.0.0/0` and `::/0` are the default routes. */
  readonly destination: string;
  readonly gateway: string;
  readonly interfaceName: string;
}

export interface ContainerConfig {
  readonly id: string;
  readonly rootfs: RootfsConfig;
  readonly hostname: string;
  readonly domainname: string;
  /** Whole contents of files mounted over those of the image. */
  readonly hostsFile: string;
  readonly resolvConfFile: string;
  readonly mounts: readonly TmpfsMount[];
  readonly shmSizeBytes: number;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly resources: Resources;
  /** What no rule allows is refused, by the cgroup: to every process of the container. */
  readonly deviceRules: readonly DeviceRule[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  /** Nodes for all devices of the VM, writable /sys and cgroup mounts. */
  readonly privileged: boolean;
  readonly privateCgroupNamespace: boolean;
  /** Runs a minimal init as PID 1 that forwards signals and reaps (`docker run --init`). */
  readonly init: boolean;
  readonly process: ProcessConfig;
}

export interface RootfsConfig {
  /** Serials of the read-only EROFS layer disks, lowest layer first; at least one. */
  readonly layers: readonly string[];
  /** Serial of the container's ext4 disk that takes the overlay's upper and work directory. */
  readonly writableDisk: string;
  readonly readOnly: boolean;
}

export interface TmpfsMount {
  readonly type: 'tmpfs';
  /** Absolute path in the container. */
  readonly target: string;
  /** mount(8) option words, such as `size=64m`, `mode=1777`, `ro`, `noexec`. */
  readonly options: readonly string[];
}

/** cgroup v2 limits; null: no limit. */
export interface Resources {
  readonly memoryBytes: number | null;
  /** Memory plus swap as Docker counts it; null: no limit set. */
  readonly memorySwapBytes: number | null;
  readonly memoryReservationBytes: number | null;
  readonly cpuQuotaMicros: number | null;
  readonly cpuPeriodMicros: number;
  /** cgroup v2 weight, 1–10000. */
  readonly cpuWeight: number | null;
  readonly cpusetCpus: string | null;
  readonly cpusetMems: string | null;
  readonly pidsLimit: number | null;
}

/** As `r`ead, `w`rite and `m`knod. */
export const deviceAccesses = ['r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'] as const;

/** Allows access to devices. */
export interface DeviceRule {
  readonly type: 'all' | 'character' | 'block';
  /** null: any. */
  readonly major: number | null;
  readonly minor: number | null;
  readonly access: (typeof deviceAccesses)[number];
}

export interface ProcessConfig {
  /** At least one word; the first is looked up in PATH of `env` inside the rootfs. */
  readonly args: readonly string[];
  /** `NAME=value` entries. HOME is added from the image's passwd when it is missing. */
  readonly env: readonly string[];
  /** Absolute; created when missing for a container's first process. */
  readonly cwd: string;
  /** `user[:group]`, names or numbers, resolved by the image's /etc/passwd and /etc/group; '' is root. */
  readonly user: string;
  /** Names or numbers, resolved as above. */
  readonly additionalGroups: readonly string[];
  readonly tty: boolean;
  readonly consoleSize: { readonly rows: number; readonly columns: number } | null;
  /** Names like `CAP_CHOWN`: the bounding set, and effective and permitted for uid 0. */
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Base64 of the BPF program (struct sock_filter array), null: unconfined. */
  readonly seccompProgram: string | null;
  readonly rlimits: readonly Rlimit[];
  readonly oomScoreAdj: number;
  readonly streams: StdioStreams;
}

/** Stream ids of a process's stdio; null: /dev/null. With a tty stderr is null: it comes in stdout. */
export interface StdioStreams {
  readonly stdin: number | null;
  readonly stdout: number | null;
  readonly stderr: number | null;
}

export interface Rlimit {
  /** Lower-case name without RLIMIT_, such as `nofile`. */
  readonly type: string;
  /** -1: unlimited. */
  readonly soft: number;
  readonly hard: number;
}

export interface ExecParams {
  readonly containerId: string;
  readonly execId: string;
  /** Capabilities are as given here; nothing is inherited but what the container's cgroup imposes. */
  readonly process: ProcessConfig;
}

export interface ExecResult {
  readonly pid: number;
}

export interface ContainerStats {
  readonly memoryBytes: number;
  readonly memoryMaxBytes: number | null;
  /** Page cache that could be reclaimed (`inactive_file`). */
  readonly memoryInactiveFileBytes: number;
  readonly cpuUsageMicros: number;
  readonly cpuUserMicros: number;
  readonly cpuSystemMicros: number;
  readonly throttledPeriods: number;
  readonly throttledMicros: number;
  readonly pids: number;
  readonly pidsMax: number | null;
  readonly onlineCpus: number;
  readonly interfaces: readonly InterfaceStats[];
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
}

export interface InterfaceStats {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface ProcessList {
  readonly processes: readonly {
    readonly pid: number;
    readonly parentPid: number;
    readonly uid: number;
    readonly command: string;
    readonly cpuMs: number;
    readonly startedUnixMs: number;
  }[];
}
