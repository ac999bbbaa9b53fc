/**
 * What a client asks for at `POST /containers/create`, in Docker's own field names (Docker Engine API
 * 1.51, definitions ContainerConfig, HostConfig, NetworkingConfig). It is stored as it came, for
 * `inspect`; `container-spec.ts` turns it into what the pod does. Only fields that Hyper honours are
 * here; `api/` refuses the known others by name and drops unknown ones.
 */
export interface ContainerConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly User?: string;
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>> | null;
  readonly Tty?: boolean;
  readonly OpenStdin?: boolean;
  readonly StdinOnce?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Image: string;
  readonly WorkingDir?: string;
  readonly Entrypoint?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
  readonly StopTimeout?: number | null;
  readonly MacAddress?: string;
}

export interface HostConfig {
  readonly Memory?: number;
  readonly MemorySwap?: number;
  readonly MemoryReservation?: number;
  readonly NanoCpus?: number;
  readonly CpuShares?: number;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  readonly PidsLimit?: number | null;
  readonly Ulimits?: readonly Ulimit[] | null;
  readonly OomScoreAdj?: number;
  readonly ShmSize?: number;
  readonly Sysctls?: Readonly<Record<string, string>> | null;
  readonly CapAdd?: readonly string[] | null;
  readonly CapDrop?: readonly string[] | null;
  readonly Privileged?: boolean;
  readonly SecurityOpt?: readonly string[] | null;
  readonly ReadonlyRootfs?: boolean;
  readonly GroupAdd?: readonly string[] | null;
  readonly Init?: boolean | null;
  readonly Tmpfs?: Readonly<Record<string, string>> | null;
  readonly AutoRemove?: boolean;
  readonly ExtraHosts?: readonly string[] | null;
  readonly Dns?: readonly string[] | null;
  readonly DnsOptions?: readonly string[] | null;
  readonly DnsSearch?: readonly string[] | null;
  readonly StorageOpt?: Readonly<Record<string, string>> | null;
  readonly LogConfig?: {
    readonly Type?: string;
    readonly Config?: Readonly<Record<string, string>> | null;
  };
  readonly PortBindings?: Readonly<Record<string, readonly HostPort[] | null>> | null;
  readonly PublishAllPorts?: boolean;
  /** `default`, `bridge` or `none`. */
  readonly NetworkMode?: string;
  readonly RestartPolicy?: { readonly Name?: string; readonly MaximumRetryCount?: number };
  readonly ConsoleSize?: readonly [number, number];
  readonly CgroupnsMode?: string;
  readonly IpcMode?: string;
  readonly MaskedPaths?: readonly string[] | null;
  readonly ReadonlyPaths?: readonly string[] | null;
  readonly Annotations?: Readonly<Record<string, string>> | null;
}

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

export interface HostPort {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

/** Body of `POST /containers/{id}/exec`. */
export interface ExecConfig {
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly [number, number] | null;
  readonly DetachKeys?: string;
  readonly Env?: readonly string[] | null;
  readonly Cmd: readonly string[];
  readonly Privileged?: boolean;
  readonly User?: string;
  readonly WorkingDir?: string;
}
