import { setTimeout as delay } from 'node:timers/promises';

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { isHyperError } from '../../base/error.ts';
import type { ContainerService, ContainerStatsView } from '../../pod/container-service.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { renderStats } from '../render/render-stats.ts';
import { clientSignal, openResponseStream } from '../response-stream.ts';
import { ContainerParams, StatsQuery, TopQuery } from '../schema/container.ts';
import { flagParameter } from '../schema/query.ts';

const sampleIntervalMs = 1000;

/** `top` and `stats`. */
export function monitorRoutes({ containers, closing }: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    const topSchema = { params: ContainerParams, querystring: TopQuery };
    app.get('/containers/:id/top', { schema: topSchema }, async (request, reply) => {
      const { titles, processes } = await containers.top(request.params.id);
      return reply.send({ Titles: titles, Processes: processes });
    });

    const statsSchema = { params: ContainerParams, querystring: StatsQuery };
    app.get('/containers/:id/stats', { schema: statsSchema }, async (request, reply) => {
      const { id } = containers.get(request.params.id);
      const signal = AbortSignal.any([closing, clientSignal(reply)]);
      if (!flagParameter(request.query.stream, true)) {
        const once = flagParameter(request.query['one-shot']);
        return reply.send(await singleSample(containers, id, { once, signal }));
      }
      const stream = openResponseStream(reply, 'application/json');
      try {
        let previous: ContainerStatsView | null = null;
        while (!signal.aborted) {
          const sample: ContainerStatsView | null = await takeSample(containers, id);
          await stream.writeJson(renderStats(containers.get(id), sample, previous));
          previous = sample;
          await delay(sampleIntervalMs, null, { signal });
        }
      } catch (cause) {
        // A removed container ends its stream; so does a client that left.
        if (!signal.aborted && !isHyperError(cause, 'NOT_FOUND')) {
          throw cause;
        }
      } finally {
        stream.end();
      }
      return reply;
    });
    return Promise.resolve();
  };
}

/** CPU shares are differences: without `one-shot` Docker takes a second sample for the sake of them. */
async function singleSample(
  containers: ContainerService,
  id: string,
  options: { readonly once: boolean; readonly signal: AbortSignal },
): Promise<object> {
  const first = await takeSample(containers, id);
  if (options.once || first === null) {
    return renderStats(containers.get(id), first, null);
  }
  await delay(sampleIntervalMs, null, { signal: options.signal });
  return renderStats(containers.get(id), await takeSample(containers, id), first);
}

/** null when the container does not run. */
async function takeSample(
  containers: ContainerService,
  id: string,
): Promise<ContainerStatsView | null> {
  if (containers.get(id).vm === null) {
    return null;
  }
  try {
    return await containers.stats(id);
  } catch (cause) {
    if (isHyperError(cause, 'INVALID_STATE') || isHyperError(cause, 'CONFLICT')) {
      return null;
    }
    throw cause;
  }
}
