import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { HyperError } from '../../base/error.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { flagFilter, parseFilters, passesAny } from '../filters.ts';
import { type NetworkResource, renderAllNetworks } from '../render/render-network.ts';
import { textParameter } from '../schema/query.ts';
import { NetworkListQuery, NetworkParams } from '../schema/system.ts';

const filterNames = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];

/** The two networks that are always there, to read. */
export function networkRoutes({ containers, network }: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/networks', { schema: { querystring: NetworkListQuery } }, async (request, reply) => {
      const filters = parseFilters(textParameter(request.query.filters), filterNames);
      const dangling = flagFilter(filters, 'dangling');
      const networks = renderAllNetworks(network, containers.list()).filter(
        (resource) =>
          passesAny(filters, 'name', (name) => resource.Name.includes(name)) &&
          passesAny(filters, 'id', (id) => resource.Id.startsWith(id)) &&
          passesAny(filters, 'driver', (driver) => resource.Driver === driver) &&
          passesAny(filters, 'scope', (scope) => scope === 'local') &&
          passesAny(filters, 'type', (type) => type === 'builtin') &&
          passesAny(filters, 'label', () => false) &&
          dangling !== true,
      );
      // A list names no members: that is what inspect is for.
      return reply.send(networks.map((resource) => ({ ...resource, Containers: {} })));
    });

    app.get('/networks/:id', { schema: { params: NetworkParams } }, async (request, reply) => {
      const networks = renderAllNetworks(network, containers.list());
      return reply.send(findNetwork(networks, request.params.id));
    });
    return Promise.resolve();
  };
}

function findNetwork(networks: readonly NetworkResource[], nameOrId: string): NetworkResource {
  const found =
    networks.find(({ Name, Id }) => Name === nameOrId || Id === nameOrId) ??
    networks.find(({ Id }) => Id.startsWith(nameOrId));
  if (found === undefined) {
    throw new HyperError('NOT_FOUND', `network ${nameOrId} not found`);
  }
  return found;
}
