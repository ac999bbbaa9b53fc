import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { HyperError } from '../../base/error.ts';
import type { StopOptions, WaitCondition } from '../../pod/container-service.ts';
import { speaksAtLeast } from '../api-version.ts';
import { parseCreateRequest } from '../create-request.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { renderWaitResult } from '../render/render-container.ts';
import { clientSignal, openResponseStream } from '../response-stream.ts';
import {
  ContainerParams,
  CreateQuery,
  KillQuery,
  RemoveQuery,
  RenameQuery,
  StopQuery,
  WaitQuery,
} from '../schema/container.ts';
import { flagParameter, integerParameter, textParameter } from '../schema/query.ts';

const waitConditions: readonly WaitCondition[] = ['not-running', 'next-exit', 'removed'];

/** Create, start, stop, restart, kill, pause, unpause, rename, remove. */
export function lifecycleRoutes({
  containers,
  closing,
}: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/containers/create',
      { schema: { querystring: CreateQuery } },
      async (request, reply) => {
        const created = await containers.create(parseCreateRequest(request.body, request.query));
        return reply.status(201).send({ Id: created.id, Warnings: created.warnings });
      },
    );

    // A start outlives the client that asked for it, as with Docker; only the daemon's end cuts it.
    app.post(
      '/containers/:id/start',
      { schema: { params: ContainerParams } },
      async (request, reply) => {
        const started = await containers.start(request.params.id, closing);
        return reply.status(started ? 204 : 304).send();
      },
    );

    const stopSchema = { params: ContainerParams, querystring: StopQuery };
    app.post('/containers/:id/stop', { schema: stopSchema }, async (request, reply) => {
      const stopped = await containers.stop(request.params.id, parseStopQuery(request.query));
      return reply.status(stopped ? 204 : 304).send();
    });

    app.post('/containers/:id/restart', { schema: stopSchema }, async (request, reply) => {
      await containers.restart(request.params.id, parseStopQuery(request.query));
      return reply.status(204).send();
    });

    const killSchema = { params: ContainerParams, querystring: KillQuery };
    app.post('/containers/:id/kill', { schema: killSchema }, async (request, reply) => {
      await containers.kill(request.params.id, textParameter(request.query.signal) || 'SIGKILL');
      return reply.status(204).send();
    });

    app.post(
      '/containers/:id/pause',
      { schema: { params: ContainerParams } },
      async (request, reply) => {
        await containers.pause(request.params.id);
        return reply.status(204).send();
      },
    );

    app.post(
      '/containers/:id/unpause',
      { schema: { params: ContainerParams } },
      async (request, reply) => {
        await containers.unpause(request.params.id);
        return reply.status(204).send();
      },
    );

    await app.register(renameAndRemoveRoutes({ containers }));
  };
}

function renameAndRemoveRoutes({
  containers,
}: Pick<ApiDependencies, 'containers'>): FastifyPluginAsyncTypebox {
  return async (app) => {
    const renameSchema = { params: ContainerParams, querystring: RenameQuery };
    app.post('/containers/:id/rename', { schema: renameSchema }, async (request, reply) => {
      const newName = textParameter(request.query.name);
      if (newName === '') {
        throw new HyperError('INVALID_ARGUMENT', 'Neither old nor new names may be empty');
      }
      await containers.rename(request.params.id, newName);
      return reply.status(204).send();
    });

    const removeSchema = { params: ContainerParams, querystring: RemoveQuery };
    app.delete('/containers/:id', { schema: removeSchema }, async (request, reply) => {
      if (flagParameter(request.query.link)) {
        throw new HyperError('UNSUPPORTED', 'not supported by Hyper yet: link (docker rm --link)');
      }
      await containers.remove(request.params.id, { force: flagParameter(request.query.force) });
      return reply.status(204).send();
    });
    return Promise.resolve();
  };
}

/** `POST /containers/{id}/wait`: headers go out before the container ends, for clients block on them. */
export function waitRoutes({ containers, closing }: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    const waitSchema = { params: ContainerParams, querystring: WaitQuery };
    app.post('/containers/:id/wait', { schema: waitSchema }, async (request, reply) => {
      const condition = speaksAtLeast(request.raw, '1.30')
        ? parseCondition(textParameter(request.query.condition))
        : 'not-running';
      const signal = AbortSignal.any([closing, clientSignal(reply)]);
      const { exited } = containers.wait(request.params.id, condition, signal);
      const stream = openResponseStream(reply, 'application/json');
      try {
        await stream.writeJson(renderWaitResult(await exited));
        stream.end();
      } catch (cause) {
        if (!signal.aborted) {
          throw cause;
        }
        // The client left, or the daemon goes: an incomplete answer must not look like an exit.
        reply.raw.destroy();
      }
    });
    return Promise.resolve();
  };
}

function parseCondition(text: string): WaitCondition {
  const condition = text === '' ? 'not-running' : waitConditions.find((known) => known === text);
  if (condition === undefined) {
    throw new HyperError('INVALID_ARGUMENT', `invalid condition: "${text}"`);
  }
  return condition;
}

function parseStopQuery(query: {
  readonly t?: readonly string[];
  readonly signal?: readonly string[];
}): StopOptions {
  return {
    timeoutSeconds: integerParameter(query.t, 't'),
    signal: textParameter(query.signal) || null,
  };
}
