import type { FastifyPluginAsync, HTTPMethods } from 'fastify';

import { HyperError } from '../../base/error.ts';

type Route = readonly [method: HTTPMethods, path: string];

/** Docker's routes that Hyper does not serve yet. */
const unsupportedRoutes: readonly Route[] = [
  ['POST', '/build'],
  ['POST', '/build/prune'],
  ['POST', '/build/cancel'],
  ['POST', '/commit'],
  ['POST', '/grpc'],
  ['POST', '/session'],
  ['GET', '/containers/:id/archive'],
  ['HEAD', '/containers/:id/archive'],
  ['PUT', '/containers/:id/archive'],
  ['GET', '/containers/:id/changes'],
  ['GET', '/containers/:id/checkpoints'],
  ['POST', '/containers/:id/checkpoints'],
  ['DELETE', '/containers/:id/checkpoints/:checkpoint'],
  ['GET', '/containers/:id/export'],
  ['POST', '/containers/:id/update'],
  ['POST', '/containers/prune'],
  ['GET', '/distribution/:name/json'],
  ['GET', '/images/:name/attestations'],
  ['GET', '/images/:name/get'],
  ['POST', '/images/:name/push'],
  ['GET', '/images/get'],
  ['POST', '/images/prune'],
  ['GET', '/images/search'],
  ['POST', '/networks/create'],
  ['POST', '/networks/prune'],
  ['DELETE', '/networks/:id'],
  ['POST', '/networks/:id/connect'],
  ['POST', '/networks/:id/disconnect'],
  ['POST', '/plugins/create'],
  ['GET', '/plugins/privileges'],
  ['POST', '/plugins/pull'],
  ['GET', '/plugins/:name/json'],
  ['DELETE', '/plugins/:name'],
  ['POST', '/plugins/:name/disable'],
  ['POST', '/plugins/:name/enable'],
  ['POST', '/plugins/:name/push'],
  ['POST', '/plugins/:name/set'],
  ['POST', '/plugins/:name/upgrade'],
  ['GET', '/system/df'],
  ['POST', '/volumes/create'],
  ['POST', '/volumes/prune'],
  ['GET', '/volumes/:name'],
  ['PUT', '/volumes/:name'],
  ['DELETE', '/volumes/:name'],
];

/** Swarm's routes: a daemon that is no swarm manager answers them with 503. */
const swarmRoutes: readonly Route[] = [
  ...['configs', 'secrets', 'services'].flatMap((kind): Route[] => [
    ['GET', `/${kind}`],
    ['POST', `/${kind}/create`],
    ['GET', `/${kind}/:id`],
    ['DELETE', `/${kind}/:id`],
    ['POST', `/${kind}/:id/update`],
  ]),
  ['GET', '/services/:id/logs'],
  ['GET', '/nodes'],
  ['GET', '/nodes/:id'],
  ['DELETE', '/nodes/:id'],
  ['POST', '/nodes/:id/update'],
  ['GET', '/swarm'],
  ['GET', '/swarm/unlockkey'],
  ['POST', '/swarm/init'],
  ['POST', '/swarm/join'],
  ['POST', '/swarm/leave'],
  ['POST', '/swarm/unlock'],
  ['POST', '/swarm/update'],
  ['GET', '/tasks'],
  ['GET', '/tasks/:id'],
  ['GET', '/tasks/:id/logs'],
];

const noSwarm =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** Answers every known route that is not served, so that a client learns which one it was. */
export function unavailableRoutes(): FastifyPluginAsync {
  return async (app) => {
    for (const [method, url] of unsupportedRoutes) {
      app.route({
        method,
        url,
        onRequest: () => {
          const path = url.replaceAll(/:(\w+)/g, '{$1}');
          throw new HyperError(
            'UNSUPPORTED',
            `not supported by Hyper yet: ${String(method)} ${path}`,
          );
        },
        handler: () => undefined,
      });
    }
    for (const [method, url] of swarmRoutes) {
      app.route({
        method,
        url,
        onRequest: () => {
          throw new HyperError('UNAVAILABLE', noSwarm);
        },
        handler: () => undefined,
      });
    }
    // There are no volumes yet: an empty list is the truth, and compose asks for it.
    app.get('/volumes', async (_request, reply) => reply.send({ Volumes: [], Warnings: null }));
    return Promise.resolve();
  };
}
