import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { ImageRecord } from '../../image/image-store.ts';
import { speaksAtLeast } from '../api-version.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Filters, flagFilter, parseFilters, passesAny, passesLabels } from '../filters.ts';
import { matchesGlob } from '../glob.ts';
import { renderHistoryEntry, renderImage, renderImageSummary } from '../render/render-image.ts';
import {
  ImageHistoryQuery,
  ImageInspectQuery,
  ImageListQuery,
  ImageParams,
} from '../schema/image.ts';
import { textParameter } from '../schema/query.ts';

const filterNames = ['before', 'dangling', 'label', 'reference', 'since', 'until'];

/** Reading routes of images: list, inspect, history. */
export function imageListRoutes({
  images,
  containers,
}: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/images/json', { schema: { querystring: ImageListQuery } }, async (request, reply) => {
      const filters = parseFilters(textParameter(request.query.filters), filterNames);
      const before = createdOf(filters.get('before')?.[0], images);
      const since = createdOf(filters.get('since')?.[0], images);
      const dangling = flagFilter(filters, 'dangling');
      const legacy = !speaksAtLeast(request.raw, '1.43');
      const listed = images
        .list()
        .filter(
          (image) =>
            (before === null || image.createdUnixMs < before) &&
            (since === null || image.createdUnixMs > since) &&
            (dangling === null || dangling === (image.repoTags.length === 0)) &&
            matches(image, filters),
        )
        .toSorted((left, right) => right.createdUnixMs - left.createdUnixMs);
      const used = containers.list().map(({ imageId }) => imageId);
      return reply.send(
        listed.map((image) =>
          renderImageSummary(image, {
            containers: used.filter((id) => id === image.id).length,
            legacy,
          }),
        ),
      );
    });

    const inspectSchema = { params: ImageParams, querystring: ImageInspectQuery };
    app.get('/images/:name/json', { schema: inspectSchema }, async (request, reply) => {
      const legacy = !speaksAtLeast(request.raw, '1.50');
      return reply.send(renderImage(images.get(request.params.name), { legacy }));
    });

    const historySchema = { params: ImageParams, querystring: ImageHistoryQuery };
    app.get('/images/:name/history', { schema: historySchema }, async (request, reply) => {
      return reply.send(images.history(request.params.name).map(renderHistoryEntry));
    });
    return Promise.resolve();
  };
}

function matches(image: ImageRecord, filters: Filters): boolean {
  const references = [...image.repoTags, ...image.repoDigests];
  return (
    passesAny(filters, 'reference', (pattern) =>
      references.some((reference) => matchesReference(reference, pattern)),
    ) && passesLabels(filters, image.config.Labels)
  );
}

/** Docker's familiar match: a shell pattern against the whole reference or against its name alone. */
function matchesReference(reference: string, pattern: string): boolean {
  const name = reference.split('@')[0]?.replace(/:[^/:]*$/, '') ?? '';
  return matchesGlob(reference, pattern) || matchesGlob(name, pattern);
}

function createdOf(nameOrId: string | undefined, images: ApiDependencies['images']): number | null {
  return nameOrId === undefined ? null : images.get(nameOrId).createdUnixMs;
}
