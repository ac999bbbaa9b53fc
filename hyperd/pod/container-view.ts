import type { Container } from './container.ts';
import type { ContainerView, VmView, WarmVmsView } from './container-service.ts';
import { isRunning, toStateView } from './container-state.ts';
import type { PodContext } from './context.ts';
import type { PodMachine } from './pod-machine.ts';

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
    lastStart: record.lastStart ?? null,
    vm: isRunning(state) ? toVmView(state.run.machine) : null,
  };
}

/** How VMs come about without a boot, and a snapshot of those that wait. */
export function toWarmVmsView({ warm }: PodContext): WarmVmsView {
  if (warm === null) return { templates: false, poolSize: 0, waiting: [], parents: [] };
  const waiting = warm.waiting.map(({ vm, agent, template }) =>
    toVmView({
      ...{ vm, size: template.shape, origin: 'pool' },
      kernelRelease: agent.hello.kernelRelease,
    }),
  );
  const parents = warm.parents.map(({ vm, template, kernelRelease }) =>
    toVmView({ vm, size: template.shape, origin: 'template', kernelRelease }),
  );
  return { templates: true, poolSize: warm.poolSize, waiting, parents };
}

type ViewedMachine = Pick<PodMachine, 'vm' | 'size' | 'origin' | 'kernelRelease'>;

function toVmView({ vm, size, origin, kernelRelease }: ViewedMachine): VmView {
  return {
    hypervisor: vm.record.hypervisor,
    pid: vm.record.pid,
    memoryMiB: size.memoryMiB,
    vcpus: size.vcpus,
    ...{ origin, kernelRelease },
    consoleTail: () => vm.consoleTail(),
  };
}
