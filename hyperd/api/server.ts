import type { FastifyInstance, FastifyReply } from 'fastify';
import Fastify, { LogController } from 'fastify';

import { takeApiVersion, apiVersionOf, assertApiVersion, maxApiVersion } from './api-version.ts';
import type { ApiDependencies } from './dependencies.ts';
import { pageNotFound, toErrorResponse } from './error-response.ts';
import { maxBodyBytes, parseJsonBody } from './request-body.ts';
import { listRoutes } from './routes/container-list.ts';
import { lifecycleRoutes, waitRoutes } from './routes/container-lifecycle.ts';
import { monitorRoutes } from './routes/container-monitor.ts';
import { logRoutes, stdioRoutes } from './routes/container-stdio.ts';
import { eventRoutes } from './routes/events.ts';
import { execRoutes } from './routes/exec.ts';
import { hyperRoutes } from './routes/hyper.ts';
import { imageChangeRoutes, imageTransferRoutes } from './routes/image-change.ts';
import { imageListRoutes } from './routes/image-list.ts';
import { networkRoutes } from './routes/networks.ts';
import { systemRoutes } from './routes/system.ts';
import { unavailableRoutes } from './routes/unavailable.ts';
import { compileSchema } from './schema/compile.ts';
import { parseQuery } from './schema/query.ts';

const maxNameChars = 2048;

/** The API as a fastify application, not listening yet: `openApiListeners` puts it on sockets. */
export async function buildApi(dependencies: ApiDependencies): Promise<FastifyInstance> {
  const { logger } = dependencies;
  const app: FastifyInstance = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: 0,
    routerOptions: { maxParamLength: maxNameChars, querystringParser: parseQuery },
    rewriteUrl: (request) => encodeImageName(request.method ?? '', takeApiVersion(request)),
    // An empty path segment or a bad escape is no route.
    frameworkErrors: (_error, _request, reply: FastifyReply) => {
      void reply.status(pageNotFound.status).send(pageNotFound.body);
    },
  });
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const parse = compileSchema(schema);
    return (value: unknown) => {
      try {
        // Docker takes an empty body for an empty object.
        return { value: parse(httpPart === 'body' ? (value ?? {}) : value) };
      } catch (cause) {
        return { error: cause as Error };
      }
    };
  });
  acceptJsonBodies(app);
  addCommonAnswers(app, dependencies);
  for (const routes of [
    systemRoutes(dependencies),
    lifecycleRoutes(dependencies),
    waitRoutes(dependencies),
    listRoutes(dependencies),
    stdioRoutes(dependencies),
    logRoutes(dependencies),
    monitorRoutes(dependencies),
    execRoutes(dependencies),
    imageListRoutes(dependencies),
    imageChangeRoutes(dependencies),
    imageTransferRoutes(dependencies),
    eventRoutes(dependencies),
    networkRoutes(dependencies),
    hyperRoutes(dependencies),
    unavailableRoutes(),
  ]) {
    await app.register(routes);
  }
  await app.ready();
  return app;
}

function acceptJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    try {
      done(null, parseJsonBody(body.toString(), request.headers['content-type']));
    } catch (cause) {
      done(cause as Error, undefined);
    }
  });
}

function addCommonAnswers(app: FastifyInstance, { logger, system }: ApiDependencies): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      server: `Hyper/${system.hyperVersion} (linux)`,
      'api-version': maxApiVersion,
      ostype: 'linux',
      'docker-experimental': 'false',
    });
    if (!request.is404) {
      assertApiVersion(apiVersionOf(request.raw));
    }
    return Promise.resolve();
  });
  // Docker's client takes an error for JSON only when the type says exactly this.
  app.addHook('onSend', async (_request, reply) => {
    if (String(reply.getHeader('content-type')).startsWith('application/json;')) {
      reply.header('content-type', 'application/json');
    }
    return Promise.resolve();
  });
  app.setNotFoundHandler((_request, reply) => {
    void reply.status(pageNotFound.status).send(pageNotFound.body);
  });
  app.setErrorHandler((cause, _request, reply) => {
    if (reply.sent) {
      // The answer has begun: cutting it off is the only way left to say that it failed.
      logger.error({ err: cause }, 'failed in the middle of an answer');
      reply.raw.destroy();
      return;
    }
    const { status, body } = toErrorResponse(cause, logger);
    void reply.status(status).send(body);
  });
}

const imageRoute = /^\/images\/(.+)\/(json|history|push|tag|get|attestations)$/;
const imageDelete = /^\/images\/(.+)$/;
const distributionRoute = /^\/distribution\/(.+)\/json$/;

/** Names of images hold slashes: encoded, they are one segment that the router can match. */
function encodeImageName(method: string, url: string): string {
  const [path = ''] = url.split('?', 1);
  const query = url.slice(path.length);
  if (method === 'DELETE') {
    const name = imageDelete.exec(path)?.[1];
    return name === undefined ? url : `/images/${encodeSlashes(name)}${query}`;
  }
  const image = imageRoute.exec(path);
  if (image?.[1] !== undefined) {
    return `/images/${encodeSlashes(image[1])}/${image[2] ?? ''}${query}`;
  }
  const distribution = distributionRoute.exec(path);
  return distribution?.[1] === undefined
    ? url
    : `/distribution/${encodeSlashes(distribution[1])}/json${query}`;
}

function encodeSlashes(name: string): string {
  return name.replaceAll('/', '%2F');
}
