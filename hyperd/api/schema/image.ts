import Type from 'typebox';

import { querySchema } from './query.ts';

/** The name of an image may hold slashes, a tag and a digest. */
export const ImageParams = Type.Object({ name: Type.String({ minLength: 1 }) });

export const ImageCreateQuery = querySchema(
  'fromImage',
  'fromSrc',
  'repo',
  'tag',
  'message',
  'platform',
  'changes',
);
export const ImageListQuery = querySchema('all', 'filters', 'shared-size', 'digests', 'manifests');
export const ImageInspectQuery = querySchema('manifests', 'platform');
export const ImageTagQuery = querySchema('repo', 'tag');
export const ImageRemoveQuery = querySchema('force', 'noprune', 'platforms');
export const ImageLoadQuery = querySchema('quiet', 'platform');
export const ImageHistoryQuery = querySchema('platform');
