import type { NetworkInfo } from '../../network/network-manager.ts';
import type { ContainerStateView, ContainerView, WaitResult } from '../../pod/container-service.ts';
import type { ContainerConfig } from '../../pod/docker-config.ts';
import type { RunExit } from '../schema/hyper.ts';
import { renderHostConfig } from './render-host-config.ts';
import { renderNetworks, renderNetworkSettings, renderPortSummaries } from './render-network.ts';
import { toHumanDuration, toTimestamp } from './render-time.ts';

export interface RenderContext {
  readonly bridge: NetworkInfo | null;
  readonly nowUnixMs: number;
}

/** One element of `GET /containers/json`. */
export function renderContainerSummary(container: ContainerView, context: RenderContext): object {
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: container.imageName,
    ImageID: container.imageId,
    Command: renderCommand(container),
    Created: Math.floor(container.createdUnixMs / 1000),
    Ports: renderPortSummaries(container),
    Labels: container.effectiveConfig.Labels ?? {},
    State: container.state.status,
    Status: renderStatus(container.state, context.nowUnixMs),
    HostConfig: { NetworkMode: container.networkMode },
    NetworkSettings: { Networks: renderNetworks(container, context.bridge) },
    Mounts: [],
  };
}

/** `GET /containers/{id}/json`. */
export function renderContainer(container: ContainerView, context: RenderContext): object {
  return {
    Id: container.id,
    Created: toTimestamp(container.createdUnixMs),
    Path: container.path,
    Args: container.args,
    State: renderState(container.state),
    Image: container.imageId,
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: container.logPath,
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: 'erofs',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: container.execIds.length === 0 ? null : container.execIds,
    HostConfig: renderHostConfig(container.hostConfig),
    GraphDriver: { Name: 'erofs', Data: null },
    Mounts: [],
    Config: renderConfig(container.effectiveConfig),
    NetworkSettings: renderNetworkSettings(container, context.bridge),
  };
}

/** What `POST /containers/{id}/wait` answers. */
export function renderWaitResult({ exitCode, error }: WaitResult): RunExit {
  return { StatusCode: exitCode, ...(error === null ? {} : { Error: { Message: error } }) };
}

/** The text of `docker ps` under STATUS. */
export function renderStatus(state: ContainerStateView, nowUnixMs: number): string {
  const since = (unixMs: number | null): string =>
    toHumanDuration(Math.max(0, nowUnixMs - (unixMs ?? nowUnixMs)));
  switch (state.status) {
    case 'running':
      return `Up ${since(state.startedUnixMs)}`;
    case 'paused':
      return `Up ${since(state.startedUnixMs)} (Paused)`;
    case 'restarting':
      return `Restarting (${String(state.exitCode)}) ${since(state.finishedUnixMs)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
    case 'exited':
      return `Exited (${String(state.exitCode)}) ${since(state.finishedUnixMs)} ago`;
  }
}

function renderState(state: ContainerStateView): object {
  const { status } = state;
  return {
    Status: status,
    Running: status === 'running' || status === 'paused' || status === 'restarting',
    Paused: status === 'paused',
    Restarting: status === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: status === 'dead',
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: toTimestamp(state.startedUnixMs),
    FinishedAt: toTimestamp(state.finishedUnixMs),
  };
}

function renderConfig(config: ContainerConfig): object {
  return {
    Hostname: config.Hostname ?? '',
    Domainname: config.Domainname ?? '',
    User: config.User ?? '',
    AttachStdin: config.AttachStdin ?? false,
    AttachStdout: config.AttachStdout ?? false,
    AttachStderr: config.AttachStderr ?? false,
    ...(Object.keys(config.ExposedPorts ?? {}).length > 0
      ? { ExposedPorts: config.ExposedPorts }
      : {}),
    Tty: config.Tty ?? false,
    OpenStdin: config.OpenStdin ?? false,
    StdinOnce: config.StdinOnce ?? false,
    Env: config.Env ?? [],
    Cmd: config.Cmd ?? null,
    Image: config.Image,
    Volumes: null,
    WorkingDir: config.WorkingDir ?? '',
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: null,
    Labels: config.Labels ?? {},
    ...(config.MacAddress ? { MacAddress: config.MacAddress } : {}),
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
    ...(typeof config.StopTimeout === 'number' ? { StopTimeout: config.StopTimeout } : {}),
  };
}

function renderCommand(container: ContainerView): string {
  const args = container.args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg));
  return [container.path, ...args].join(' ');
}
