import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';

import { maxApiVersion, minApiVersion } from '../api-version.ts';
import type { ApiDependencies, SystemFacts } from '../dependencies.ts';
import { toRegistryAuth } from '../registry-auth.ts';
import { renderInfo } from '../render/render-info.ts';
import { clientSignal } from '../response-stream.ts';
import { AuthBody } from '../schema/system.ts';
import { hostArchitecture } from '../platform.ts';

/** `_ping`, `version`, `info`, `auth`, `plugins`. */
export function systemRoutes(dependencies: ApiDependencies): FastifyPluginAsyncTypebox {
  const { system, checkCredentials } = dependencies;
  return async (app) => {
    app.get('/_ping', async (_request, reply) => pingHeaders(reply).send('OK'));
    app.head('/_ping', async (_request, reply) =>
      pingHeaders(reply).header('content-length', '0').send(),
    );
    app.get('/version', async (_request, reply) => reply.send(renderVersion(system)));
    app.get('/info', async (_request, reply) => reply.send(renderInfo(dependencies)));
    app.get('/plugins', async (_request, reply) => reply.send([]));
    app.post('/auth', { schema: { body: AuthBody } }, async (request, reply) => {
      const auth = toRegistryAuth(request.body);
      const { status, identityToken } = await checkCredentials(auth, clientSignal(reply));
      return reply.send({ Status: status, IdentityToken: identityToken });
    });
    return Promise.resolve();
  };
}

function pingHeaders(reply: FastifyReply): FastifyReply {
  return reply
    .type('text/plain; charset=utf-8')
    .header('builder-version', '1')
    .header('swarm', 'inactive')
    .header('cache-control', 'no-cache, no-store, must-revalidate')
    .header('pragma', 'no-cache');
}

function renderVersion(system: SystemFacts): object {
  const engine = {
    ApiVersion: maxApiVersion,
    Arch: hostArchitecture(),
    BuildTime: '',
    Experimental: 'false',
    GitCommit: '',
    GoVersion: '',
    KernelVersion: system.kernelRelease,
    MinAPIVersion: minApiVersion,
    Os: 'linux',
  };
  return {
    Platform: { Name: 'Hyper' },
    Components: [
      { Name: 'Engine', Version: system.hyperVersion, Details: engine },
      { Name: 'HyperKernel', Version: system.hyperKernel, Details: {} },
      {
        Name: system.hypervisor.name,
        Version: system.hypervisor.version,
        Details: { HardwareAccelerated: String(system.hypervisor.hardwareAccelerated) },
      },
      { Name: 'node', Version: process.versions.node, Details: {} },
    ],
    Version: system.hyperVersion,
    ApiVersion: maxApiVersion,
    MinAPIVersion: minApiVersion,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: engine.Arch,
    KernelVersion: system.kernelRelease,
    BuildTime: '',
  };
}
