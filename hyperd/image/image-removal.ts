import { HyperError } from '../base/error.ts';
import type { ImageRecord, RemoveOptions } from './image-store.ts';
import { repositoryOf } from './reference.ts';

/** What a removal does: which names go, and whether the image goes with them. */
export interface RemovalPlan {
  readonly untag: readonly string[];
  readonly deletes: boolean;
}

/**
 * Decides as Docker does. By name: the name goes, and the image with its last name unless a container
 * uses it. By id: all names go if they are of one repository. CONFLICT with Docker's words.
 */
export function planRemoval(
  request: { readonly nameOrId: string; readonly name: string | null },
  image: ImageRecord,
  options: Pick<RemoveOptions, 'force' | 'usedBy'>,
): RemovalPlan {
  const { nameOrId } = request;
  const name = isIdPrefix(image.id, nameOrId) ? null : request.name;
  const users = options.usedBy(image.id);
  const names = [...image.repoTags, ...image.repoDigests];
  const isSingle = isOneRepository(image);
  if (name === null) {
    refuseWhileUsed(image, options.force, users);
    if (!isSingle && names.length > 0 && !options.force) {
      throw conflict(image, 'must be forced', 'image is referenced in multiple repositories');
    }
    return { untag: names, deletes: true };
  }
  const [user] = users;
  if (isSingle && user !== undefined && !options.force) {
    const container = user.containerId.slice(0, 12);
    const text = `conflict: unable to remove repository reference "${nameOrId}" (must force) - container ${container} is using its referenced image ${shortId(image)}`;
    throw new HyperError('CONFLICT', text);
  }
  const untag = [name, ...strandedDigests(name, image)];
  const isLast = untag.length === names.length;
  // Without a name, a container's image stays as a dangling one.
  const isUsed = options.force ? users.some(({ running }) => running) : users.length > 0;
  return { untag, deletes: isLast && !isUsed };
}

/** Digest names say where a tag came from: they go with the last tag of their repository. */
function strandedDigests(name: string, image: ImageRecord): readonly string[] {
  if (!image.repoTags.includes(name)) return [];
  const repository = repositoryOf(name);
  const others = image.repoTags.filter((tag) => tag !== name);
  if (others.some((tag) => repositoryOf(tag) === repository)) return [];
  return image.repoDigests.filter((digest) => repositoryOf(digest) === repository);
}

/** At most one tag, and every digest name of the tag's repository. */
function isOneRepository(image: ImageRecord): boolean {
  const repositories = new Set([...image.repoTags, ...image.repoDigests].map(repositoryOf));
  return repositories.size === 1 && image.repoTags.length <= 1;
}

function refuseWhileUsed(
  image: ImageRecord,
  force: boolean,
  users: ReturnType<RemoveOptions['usedBy']>,
): void {
  const running = users.find((user) => user.running);
  if (running !== undefined) {
    const container = running.containerId.slice(0, 12);
    const why = `image is being used by running container ${container}`;
    throw conflict(image, 'cannot be forced', why);
  }
  const [stopped] = users;
  if (stopped !== undefined && !force) {
    const container = stopped.containerId.slice(0, 12);
    throw conflict(
      image,
      'must be forced',
      `image is being used by stopped container ${container}`,
    );
  }
}

function conflict(image: ImageRecord, remedy: string, why: string): HyperError {
  return new HyperError(
    'CONFLICT',
    `conflict: unable to delete ${shortId(image)} (${remedy}) - ${why}`,
  );
}

function shortId({ id }: ImageRecord): string {
  return id.slice('sha256:'.length, 'sha256:'.length + 12);
}

function isIdPrefix(id: string, text: string): boolean {
  return id.startsWith(text) || id.slice('sha256:'.length).startsWith(text);
}
