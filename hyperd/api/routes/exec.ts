import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { HyperError } from '../../base/error.ts';
import type { ExecView } from '../../pod/container-service.ts';
import { toWords } from '../create-request.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ContainerParams } from '../schema/container.ts';
import { ExecBody } from '../schema/exec.ts';

/** Exec create and inspect; start and resize are with the stdio routes. */
export function execRoutes({ containers }: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    const createSchema = { params: ContainerParams, body: ExecBody };
    app.post('/containers/:id/exec', { schema: createSchema }, async (request, reply) => {
      const { Cmd = [], ConsoleSize, ...config } = request.body;
      const words = toWords(Cmd);
      if (words.length === 0) {
        throw new HyperError('INVALID_ARGUMENT', 'No exec command specified');
      }
      const execId = containers.createExec(request.params.id, {
        ...config,
        ...(ConsoleSize === undefined ? {} : { ConsoleSize }),
        Cmd: words,
      });
      return reply.status(201).send({ Id: execId });
    });

    app.get('/exec/:id/json', { schema: { params: ContainerParams } }, async (request, reply) => {
      return reply.send(renderExec(containers.getExec(request.params.id)));
    });
    return Promise.resolve();
  };
}

function renderExec(exec: ExecView): object {
  const { config } = exec;
  const [entrypoint = '', ...args] = config.Cmd;
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode,
    ProcessConfig: {
      tty: config.Tty ?? false,
      entrypoint,
      arguments: args,
      privileged: config.Privileged ?? false,
      ...(config.User ? { user: config.User } : {}),
    },
    OpenStdin: config.AttachStdin ?? false,
    OpenStderr: config.AttachStderr ?? false,
    OpenStdout: config.AttachStdout ?? false,
    CanRemove: false,
    ContainerID: exec.containerId,
    DetachKeys: config.DetachKeys ?? '',
    Pid: exec.pid,
  };
}
