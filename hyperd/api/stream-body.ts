import type { Readable } from 'node:stream';

import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Hands request bodies of the routes in this scope over as streams, whatever their type and size. */
export function acceptStreamBodies(
  app: Pick<FastifyInstance, 'removeAllContentTypeParsers' | 'addContentTypeParser'>,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => {
    done(null, payload);
  });
}

/** The body of a request in such a scope; the request itself when it announced none. */
export function bodyStreamOf(request: FastifyRequest): Readable {
  return request.raw;
}
