import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Static } from 'typebox';

import { HyperError } from '../../base/error.ts';
import type { ImageRecord } from '../../image/image-store.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { parsePlatform } from '../platform.ts';
import { publishImageEvent } from '../image-events.ts';
import { streamProgress } from '../progress-stream.ts';
import { parseRegistryAuth } from '../registry-auth.ts';
import { clientSignal } from '../response-stream.ts';
import {
  ImageCreateQuery,
  ImageLoadQuery,
  ImageParams,
  ImageRemoveQuery,
  ImageTagQuery,
} from '../schema/image.ts';
import { flagParameter, textParameter } from '../schema/query.ts';
import { acceptStreamBodies, bodyStreamOf } from '../stream-body.ts';

type CreateQuery = Static<typeof ImageCreateQuery>;

/** Pull, import and load: the body is a stream, the answer is a stream of progress. */
export function imageTransferRoutes(dependencies: ApiDependencies): FastifyPluginAsyncTypebox {
  const { images, closing } = dependencies;
  return async (app) => {
    acceptStreamBodies(app);
    const createSchema = { querystring: ImageCreateQuery };
    app.post('/images/create', { schema: createSchema }, async (request, reply) => {
      const { query } = request;
      const signal = AbortSignal.any([closing, clientSignal(reply)]);
      const transfer = { signal, onProgress: () => undefined };
      if (textParameter(query.fromSrc) !== '') {
        const body = bodyStreamOf(request);
        await streamProgress(reply, async (report) => {
          await importImage(dependencies, { query, body, signal, report });
        });
        return;
      }
      const auth = parseRegistryAuth(request.headers['x-registry-auth']);
      await streamProgress(reply, async (onProgress) => {
        await pullImages(dependencies, query, { ...transfer, auth, onProgress });
      });
    });

    const loadSchema = { querystring: ImageLoadQuery };
    app.post('/images/load', { schema: loadSchema }, async (request, reply) => {
      const quiet = flagParameter(request.query.quiet);
      const signal = AbortSignal.any([closing, clientSignal(reply)]);
      await streamProgress(reply, async (report) => {
        const onProgress: typeof report = (message) => {
          if (!quiet || message.stream !== undefined) {
            report(message);
          }
        };
        const loaded = await images.load(bodyStreamOf(request), { signal, onProgress });
        for (const { id, references } of loaded) {
          publishImageEvent(dependencies, 'load', { id, name: references[0] ?? id });
        }
      });
    });
    return Promise.resolve();
  };
}

type Pull = Parameters<ApiDependencies['images']['pull']>[1];

async function pullImages(
  dependencies: ApiDependencies,
  query: CreateQuery,
  transfer: Pull,
): Promise<void> {
  const { images } = dependencies;
  const reference = pulledReference(textParameter(query.fromImage), textParameter(query.tag));
  const platform = textParameter(query.platform);
  const options = platform === '' ? transfer : { ...transfer, platform: parsePlatform(platform) };
  const pulled: readonly ImageRecord[] = hasTagOrDigest(reference)
    ? [await images.pull(reference, options)]
    : await images.pullAllTags(reference, options);
  for (const image of pulled) {
    publishImageEvent(dependencies, 'pull', { id: reference, name: reference, image });
  }
}

interface Import {
  readonly query: CreateQuery;
  readonly body: ReturnType<typeof bodyStreamOf>;
  readonly signal: AbortSignal;
  readonly report: Pull['onProgress'];
}

async function importImage(
  dependencies: ApiDependencies,
  { query, body, signal, report }: Import,
): Promise<void> {
  if (textParameter(query.fromSrc) !== '-') {
    throw new HyperError(
      'UNSUPPORTED',
      'not supported by Hyper yet: fromSrc with a URL; download it and import the file',
    );
  }
  const repository = textParameter(query.repo);
  const tag = textParameter(query.tag);
  const platform = textParameter(query.platform);
  const image = await dependencies.images.importRootfs(body, {
    signal,
    onProgress: report,
    ...(repository === '' ? {} : { reference: withTag(repository, tag) }),
    ...(query.message === undefined ? {} : { message: textParameter(query.message) }),
    ...(platform === '' ? {} : { platform: parsePlatform(platform) }),
    ...(query.changes === undefined ? {} : { changes: query.changes }),
  });
  publishImageEvent(dependencies, 'import', {
    id: image.id,
    name: image.repoTags[0] ?? image.id,
    image,
  });
}

/** Tag and delete. */
export function imageChangeRoutes(dependencies: ApiDependencies): FastifyPluginAsyncTypebox {
  const { images, containers } = dependencies;
  return async (app) => {
    const tagSchema = { params: ImageParams, querystring: ImageTagQuery };
    app.post('/images/:name/tag', { schema: tagSchema }, async (request, reply) => {
      const repository = textParameter(request.query.repo);
      if (repository === '') {
        throw new HyperError('INVALID_ARGUMENT', 'invalid reference format: repo is empty');
      }
      const reference = withTag(repository, textParameter(request.query.tag));
      images.tag(request.params.name, reference);
      const image = images.get(request.params.name);
      publishImageEvent(dependencies, 'tag', { id: image.id, name: reference, image });
      return reply.status(201).send();
    });

    const removeSchema = { params: ImageParams, querystring: ImageRemoveQuery };
    app.delete('/images/:name', { schema: removeSchema }, async (request, reply) => {
      const image = images.get(request.params.name);
      const removed = await images.remove(request.params.name, {
        force: flagParameter(request.query.force),
        noPrune: flagParameter(request.query.noprune),
        usedBy: (imageId) =>
          containers
            .list()
            .filter((container) => container.imageId === imageId)
            .map(({ id, vm }) => ({ containerId: id, running: vm !== null })),
      });
      for (const item of removed) {
        const isUntag = 'Untagged' in item;
        // Layers that went with the image are no event of their own.
        if (!isUntag && item.Deleted !== image.id) continue;
        const name = isUntag ? item.Untagged : item.Deleted;
        publishImageEvent(dependencies, isUntag ? 'untag' : 'delete', {
          id: image.id,
          name,
          image,
        });
      }
      return reply.send(removed);
    });
    return Promise.resolve();
  };
}

/** `name` and `tag` of a pull: the tag may be a digest. */
function pulledReference(name: string, tag: string): string {
  if (name === '') {
    throw new HyperError('INVALID_ARGUMENT', 'invalid reference format: fromImage is empty');
  }
  return withTag(name, tag);
}

function withTag(name: string, tag: string): string {
  if (tag === '') {
    return name;
  }
  return tag.includes(':') ? `${name}@${tag}` : `${stripTag(name)}:${tag}`;
}

/** A tag given by itself wins over one in the name. */
function stripTag(name: string): string {
  return name.replace(/:[^/:]*$/, '');
}

function hasTagOrDigest(reference: string): boolean {
  return reference.includes('@') || stripTag(reference) !== reference;
}
