import { HyperError } from '../base/error.ts';
import { type ParsedConfig, parseImageConfig } from './image-config.ts';
import type { ImageDatabase } from './image-database.ts';
import type { HistoryEntry, ImageRecord } from './image-store.ts';
import { familiarReference, parseReference, type Reference, withDefaultTag } from './reference.ts';

const shortIdPattern = /^(?:sha256:)?([0-9a-f]{1,64})$/;

/** Finds images by name and id, and shows them as records. */
export class ImageIndex {
  readonly #database: ImageDatabase;
  /** Config blobs never change: each is parsed once. */
  readonly #parsed = new Map<string, ParsedConfig>();

  constructor(database: ImageDatabase) {
    this.#database = database;
  }

  list(): readonly ImageRecord[] {
    const names = this.#database.names();
    const sizes = this.#database.layerSizes();
    return this.#database.images().map(({ id, config, taggedUnixMs }) => {
      const parsed = this.#parse(id, config);
      const own = names.filter(({ image }) => image === id);
      return {
        id,
        repoTags: own.filter(({ isDigest }) => !isDigest).map(({ name }) => name),
        repoDigests: own.filter(({ isDigest }) => isDigest).map(({ name }) => name),
        createdUnixMs: parsed.createdUnixMs,
        sizeBytes: parsed.diffIds.reduce((sum, diffId) => sum + (sizes.get(diffId) ?? 0), 0),
        platform: parsed.platform,
        diffIds: parsed.diffIds,
        config: parsed.config,
        author: parsed.author,
        comment: parsed.comment,
        dockerVersion: parsed.dockerVersion,
        lastTaggedUnixMs: taggedUnixMs,
      };
    });
  }

  /** NOT_FOUND with Docker's message; CONFLICT for an id prefix of several images. */
  get(nameOrId: string): ImageRecord {
    const images = this.list();
    const reference = tryParse(nameOrId);
    if (reference !== null) {
      const name = familiarReference(withDefaultTag(reference));
      const found = images.find(
        ({ repoTags, repoDigests }) => repoTags.includes(name) || repoDigests.includes(name),
      );
      if (found !== undefined) return found;
    }
    const prefix = shortIdPattern.exec(nameOrId)?.[1];
    const matching =
      prefix === undefined ? [] : images.filter(({ id }) => id.startsWith(`sha256:${prefix}`));
    if (matching.length > 1) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        `multiple IDs found with provided prefix: ${nameOrId}`,
      );
    }
    const image = matching[0];
    if (image === undefined) {
      const shown = reference === null ? nameOrId : familiarReference(withDefaultTag(reference));
      throw new HyperError('NOT_FOUND', `No such image: ${shown}`);
    }
    return image;
  }

  history(nameOrId: string): readonly HistoryEntry[] {
    const image = this.get(nameOrId);
    const parsed = this.#parsed.get(image.id);
    const sizes = this.#database.layerSizes();
    const layers = [...image.diffIds];
    const entries = (parsed?.history ?? []).map((item) => ({
      id: '<missing>',
      createdUnixMs: item.createdUnixMs,
      createdBy: item.createdBy,
      tags: [] as readonly string[],
      sizeBytes: item.isEmptyLayer ? 0 : (sizes.get(layers.shift() ?? '') ?? 0),
      comment: item.comment,
    }));
    return entries
      .reverse()
      .map((entry, index) =>
        index === 0 ? { ...entry, id: image.id, tags: image.repoTags } : entry,
      );
  }

  /** Names that a removal by `nameOrId` takes away: one name, or none when it was an id. */
  nameOf(nameOrId: string, image: ImageRecord): string | null {
    const reference = tryParse(nameOrId);
    if (reference === null) return null;
    const name = familiarReference(withDefaultTag(reference));
    return image.repoTags.includes(name) || image.repoDigests.includes(name) ? name : null;
  }

  #parse(id: string, config: Uint8Array): ParsedConfig {
    let parsed = this.#parsed.get(id);
    if (parsed === undefined) {
      parsed = parseImageConfig(config);
      this.#parsed.set(id, parsed);
    }
    return parsed;
  }
}

function tryParse(text: string): Reference | null {
  try {
    return parseReference(text);
  } catch {
    return null;
  }
}
