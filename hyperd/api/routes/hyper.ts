import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { HyperError } from '../../base/error.ts';
import type { ContainerView, VmView } from '../../pod/container-service.ts';
import { maxApiVersion } from '../api-version.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ContainerParams } from '../schema/container.ts';
import type { ConsoleTail, HyperVersion, StartTimeline, VmSummary } from '../schema/hyper.ts';

/** What Docker's API cannot say: the VMs behind the containers. Used by our own command line. */
export function hyperRoutes({ containers, system }: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/hyper/version', async (_request, reply) => {
      const { templates, poolSize } = containers.warmVms();
      const version: HyperVersion = {
        Version: system.hyperVersion,
        ApiVersion: maxApiVersion,
        Hypervisor: system.hypervisor.name,
        HypervisorVersion: system.hypervisor.version,
        HardwareAccelerated: system.hypervisor.hardwareAccelerated,
        HyperKernel: system.hyperKernel,
        NodeVersion: process.versions.node,
        Templates: templates,
        PoolSize: poolSize,
      };
      return reply.send(version);
    });

    app.get('/hyper/vms', async (_request, reply) => {
      const { waiting, parents } = containers.warmVms();
      const vms = [
        ...containers.list().flatMap(toVmSummaries),
        ...waiting.map((vm) => summarise(vm, 'waiting')),
        ...parents.map((vm) => summarise(vm, 'parent')),
      ];
      return reply.send(vms);
    });

    const schema = { params: ContainerParams };
    app.get('/hyper/vms/:id/console', { schema }, async (request, reply) => {
      const { name, vm } = containers.get(request.params.id);
      if (vm === null) {
        throw new HyperError('CONFLICT', `container ${name} has no running VM: start it first`);
      }
      const tail: ConsoleTail = { Text: vm.consoleTail() };
      return reply.send(tail);
    });

    app.get('/hyper/containers/:id/timeline', { schema }, async (request, reply) => {
      const { name, lastStart } = containers.get(request.params.id);
      if (lastStart === null) {
        throw new HyperError('CONFLICT', `container ${name} was never started`);
      }
      const { origin, timeline } = lastStart;
      const answer: StartTimeline = { Origin: origin, Timeline: { ...timeline } };
      return reply.send(answer);
    });

    // The stream hijack answers those that ask for an upgrade.
    app.post('/hyper/run', () => {
      throw new HyperError(
        'INVALID_ARGUMENT',
        'the answer to /hyper/run is a stream: ask for it with Connection: Upgrade and Upgrade: tcp',
      );
    });
    return Promise.resolve();
  };
}

/** None for a container that does not run. */
function toVmSummaries(view: ContainerView): readonly VmSummary[] {
  const { id, name, imageName, state, lastStart, vm } = view;
  if (vm === null) return [];
  const container = {
    ...{ ContainerId: id, ContainerName: name, Image: imageName },
    Timeline: { ...lastStart?.timeline },
  };
  const summary = summarise(vm, state.status === 'paused' ? 'paused' : 'running');
  return [{ ...summary, ...container }];
}

function summarise(vm: VmView, state: VmSummary['State']): VmSummary {
  return {
    State: state,
    Origin: vm.origin,
    ContainerId: '',
    ContainerName: '',
    Image: '',
    Hypervisor: vm.hypervisor,
    Pid: vm.pid,
    MemoryMiB: vm.memoryMiB,
    Vcpus: vm.vcpus,
    KernelRelease: vm.kernelRelease,
    Timeline: {},
  };
}
