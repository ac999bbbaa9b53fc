import type { Container } from './container.ts';
import type { ContainerView, VmView } from './container-service.ts';
import { isRunning, toStateView } from './container-state.ts';
import type { PodContext } from './context.ts';

/** A snapshot of a container for ps and inspect. */
export function toContainerView(context: PodContext, container: Container): ContainerView {
  const { record, state } = container;
  const { effectiveConfig, hostConfig } = record;
  const words = [...(effectiveConfig.Entrypoint ?? []), ...(effectiveConfig.Cmd ?? [])];
  const [path = '', ...args] = words;
  const driver = hostConfig.LogConfig?.Type ?? '';
  const directory = context.paths.container(container.id);
  return {
    id: container.id,
    name: container.name,
    createdUnixMs: record.createdUnixMs,
    imageId: record.imageId,
    imageName: record.imageName,
    config: record.config,
    hostConfig,
    path,
    args,
    effectiveConfig,
    state: toStateView(state),
    restartCount: record.restartCount,
    endpoint: isRunning(state) ? (state.run.machine.endpoint?.record ?? null) : null,
    networkMode: hostConfig.NetworkMode === 'none' ? 'none' : 'bridge',
    logPath: driver === 'none' ? '' : `${directory}/${container.id}-json.log`,
    execIds: context.execs.idsOf(container.id),
    vm: toVmView(container),
  };
}

function toVmView({ state }: Container): VmView | null {
  if (!isRunning(state)) return null;
  const { vm, size, timeline, kernelRelease } = state.run.machine;
  return {
    hypervisor: vm.record.hypervisor,
    pid: vm.record.pid,
    ...size,
    timeline,
    kernelRelease,
    consoleTail: () => vm.consoleTail(),
  };
}
