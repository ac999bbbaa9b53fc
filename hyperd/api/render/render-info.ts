import type { ApiDependencies } from '../dependencies.ts';

/** `GET /info`. */
export function renderInfo({ containers, images, system }: ApiDependencies): object {
  const states = containers.list().map(({ state }) => state.status);
  const running = states.filter((status) => status === 'running' || status === 'restarting').length;
  const paused = states.filter((status) => status === 'paused').length;
  return {
    ID: system.daemonId,
    Containers: states.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: states.length - running - paused,
    Images: images.list().length,
    Driver: 'erofs',
    DriverStatus: [
      ['Layers', 'EROFS images, read-only, shared by all VMs'],
      ['Hypervisor', `${system.hypervisor.name} ${system.hypervisor.version}`],
      ['Hardware acceleration', system.hypervisor.hardwareAccelerated ? 'yes' : 'no (emulated)'],
      ['HyperKernel', system.hyperKernel],
    ],
    Plugins: {
      Volume: [],
      Network: ['bridge', 'null'],
      Authorization: null,
      Log: ['json-file', 'none'],
    },
    ...limits,
    Debug: system.debug,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'none',
    CgroupVersion: '2',
    KernelVersion: system.kernelRelease,
    OperatingSystem: system.operatingSystem,
    OSType: 'linux',
    Architecture: system.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: renderRegistries(system),
    NCPU: system.processors,
    MemTotal: system.memoryBytes,
    DockerRootDir: system.dataRoot,
    Name: system.hostName,
    ServerVersion: system.hyperVersion,
    Runtimes: { hyper: { path: 'hyperd' } },
    DefaultRuntime: 'hyper',
    Swarm: renderSwarm(),
    LiveRestoreEnabled: true,
    InitBinary: 'hyperstart',
    ...notThere,
    SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
    Warnings: system.warnings,
  };
}

/** What HyperKernel's cgroups can limit. */
const limits = {
  MemoryLimit: true,
  SwapLimit: true,
  CpuCfsPeriod: true,
  CpuCfsQuota: true,
  CPUShares: true,
  CPUSet: true,
  PidsLimit: true,
  OomKillDisable: false,
  IPv4Forwarding: true,
};

/** Fields of Docker that have nothing to tell here; clients expect them to be there. */
const notThere = {
  NFd: 0,
  NGoroutines: 0,
  NEventsListener: 0,
  HttpProxy: '',
  HttpsProxy: '',
  NoProxy: '',
  GenericResources: null,
  Isolation: '',
  OSVersion: '',
  Labels: [],
  ExperimentalBuild: false,
  CDISpecDirs: [],
  ContainerdCommit: { ID: '' },
  RuncCommit: { ID: '' },
  InitCommit: { ID: '' },
};

function renderRegistries(system: ApiDependencies['system']): object {
  const insecure = Object.fromEntries(
    system.insecureRegistries.map((name): [string, object] => [
      name,
      { Name: name, Mirrors: [], Secure: false, Official: false },
    ]),
  );
  return {
    InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8'],
    IndexConfigs: {
      'docker.io': { Name: 'docker.io', Mirrors: system.mirrors, Secure: true, Official: true },
      ...insecure,
    },
    Mirrors: system.mirrors,
  };
}

function renderSwarm(): object {
  return {
    NodeID: '',
    NodeAddr: '',
    LocalNodeState: 'inactive',
    ControlAvailable: false,
    Error: '',
    RemoteManagers: null,
  };
}
