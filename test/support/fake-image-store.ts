import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

import { HyperError } from '../../hyperd/base/error.ts';
import type {
  HistoryEntry,
  ImageRecord,
  ImageStore,
  ImportOptions,
  LayerFile,
  LoadedImage,
  LoadOptions,
  PullOptions,
  RemovedItem,
  RemoveOptions,
} from '../../hyperd/image/image-store.ts';

/** Images in memory. Pulling a name with `missing` in it fails before, with `broken` in the middle. */
export class FakeImageStore implements ImageStore {
  readonly pulls: { readonly reference: string; readonly options: PullOptions }[] = [];
  /** Bytes of the last loaded or imported archive. */
  lastArchiveBytes = 0;
  readonly #images: ImageRecord[] = [];

  add(reference: string, changes: Partial<ImageRecord> = {}): ImageRecord {
    const digest = createHash('sha256').update(reference).digest('hex');
    const image: ImageRecord = {
      id: `sha256:${digest}`,
      repoTags: [reference],
      repoDigests: [],
      createdUnixMs: Date.parse('2026-01-02T03:04:05Z'),
      sizeBytes: 4_200_000,
      platform: { os: 'linux', architecture: 'amd64' },
      diffIds: [`sha256:${'d'.repeat(64)}`],
      config: {
        User: '',
        Env: ['PATH=/bin'],
        Entrypoint: null,
        Cmd: ['sh'],
        WorkingDir: '',
        Labels: {},
        ExposedPorts: {},
        Volumes: {},
        StopSignal: '',
        Shell: null,
        Healthcheck: null,
        OnBuild: null,
      },
      author: '',
      comment: '',
      dockerVersion: '',
      lastTaggedUnixMs: 0,
      ...changes,
    };
    this.#images.push(image);
    return image;
  }

  async pull(reference: string, options: PullOptions): Promise<ImageRecord> {
    this.pulls.push({ reference, options });
    if (reference.includes('missing')) {
      throw new HyperError(
        'NOT_FOUND',
        `pull access denied for ${reference}, repository does not exist or may require 'docker login'`,
      );
    }
    options.onProgress({ status: 'Pulling from library/fake', id: 'latest' });
    if (reference.includes('broken')) {
      throw new HyperError('UNAVAILABLE', 'the registry went away');
    }
    options.onProgress({ status: `Status: Downloaded newer image for ${reference}` });
    return Promise.resolve(this.add(reference.replace('docker.io/library/', '')));
  }

  async pullAllTags(repository: string, options: PullOptions): Promise<readonly ImageRecord[]> {
    return [
      await this.pull(`${repository}:1`, options),
      await this.pull(`${repository}:2`, options),
    ];
  }

  async load(archive: Readable, options: LoadOptions): Promise<readonly LoadedImage[]> {
    await this.#drain(archive);
    options.onProgress({ status: 'Loading layer', id: 'abc' });
    const image = this.add('loaded:latest');
    options.onProgress({ stream: 'Loaded image: loaded:latest\n' });
    return [{ id: image.id, references: image.repoTags }];
  }

  async importRootfs(archive: Readable, options: ImportOptions): Promise<ImageRecord> {
    await this.#drain(archive);
    const image = this.add(options.reference ?? 'imported', { comment: options.message ?? '' });
    options.onProgress({ status: image.id });
    return image;
  }

  list(): readonly ImageRecord[] {
    return this.#images;
  }

  get(nameOrId: string): ImageRecord {
    const name = nameOrId.replace(/^docker\.io\//, '').replace(/^library\//, '');
    const tagged = /:[^/]*$/.test(name) ? name : `${name}:latest`;
    const found = this.#images.find(
      ({ id, repoTags }) =>
        repoTags.includes(tagged) || id === nameOrId || id.startsWith(`sha256:${nameOrId}`),
    );
    if (found === undefined) {
      throw new HyperError('NOT_FOUND', `No such image: ${nameOrId}`);
    }
    return found;
  }

  layers(imageId: string): Promise<readonly LayerFile[]> {
    const { diffIds } = this.get(imageId);
    return Promise.resolve(diffIds.map((diffId) => ({ diffId, path: `/layers/${diffId}` })));
  }

  history(nameOrId: string): readonly HistoryEntry[] {
    const image = this.get(nameOrId);
    return [
      {
        id: image.id,
        createdUnixMs: image.createdUnixMs,
        createdBy: '/bin/sh -c #(nop) CMD ["sh"]',
        tags: image.repoTags,
        sizeBytes: image.sizeBytes,
        comment: '',
      },
    ];
  }

  tag(nameOrId: string, newReference: string): void {
    const image = this.get(nameOrId);
    this.#images[this.#images.indexOf(image)] = {
      ...image,
      repoTags: [...image.repoTags, newReference.replace(/^docker\.io\/(library\/)?/, '')],
    };
  }

  async remove(nameOrId: string, options: RemoveOptions): Promise<readonly RemovedItem[]> {
    const image = this.get(nameOrId);
    const user = options.usedBy(image.id)[0];
    if (user !== undefined && !options.force) {
      throw new HyperError(
        'CONFLICT',
        `conflict: unable to remove repository reference "${nameOrId}" (must force) - container ${user.containerId.slice(0, 12)} is using its referenced image ${image.id.slice(7, 19)}`,
      );
    }
    this.#images.splice(this.#images.indexOf(image), 1);
    return Promise.resolve([{ Untagged: image.repoTags[0] ?? '' }, { Deleted: image.id }]);
  }

  lease(): void {
    return undefined;
  }

  releaseLease(): void {
    return undefined;
  }

  async collectGarbage(): Promise<number> {
    return Promise.resolve(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #drain(archive: Readable): Promise<void> {
    this.lastArchiveBytes = 0;
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      this.lastArchiveBytes += chunk.length;
    }
  }
}
