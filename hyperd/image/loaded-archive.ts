import { createWriteStream } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';

import { extract } from 'tar-stream';

import { HyperError, messageOf } from '../base/error.ts';
import { parseDigest } from './digest.ts';
import { asArray, asObject, asString, asStrings, parseJson } from './json.ts';
import { chooseManifest, isIndex, parseManifest } from './manifest.ts';
import { familiarReference, parseReference } from './reference.ts';

/** One image found in an archive, its parts spooled to files. */
export interface ArchivedImage {
  readonly config: Buffer;
  readonly layerFiles: readonly string[];
  readonly references: readonly string[];
}

const maxJsonBytes = 4 * 1024 * 1024;
const maxEntries = 100_000;

/**
 * An image archive (docker-archive or OCI layout; plain, gzip or zstd), spooled to a scratch folder:
 * its index may come after the blobs. Dispose removes the folder.
 */
export class LoadedArchive implements AsyncDisposable {
  readonly #directory: string;
  /** Spool file by the entry's cleaned name; links point to the same file. */
  readonly #files = new Map<string, string>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async spool(
    archive: Readable,
    parent: string,
    signal: AbortSignal,
  ): Promise<LoadedArchive> {
    const loaded = new LoadedArchive(await mkdtemp(path.join(parent, 'load-')));
    try {
      await loaded.#spoolEntries(archive, signal);
      return loaded;
    } catch (thrown) {
      await loaded[Symbol.asyncDispose]();
      signal.throwIfAborted();
      if (thrown instanceof HyperError) throw thrown;
      throw new HyperError('INVALID_ARGUMENT', `image archive: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
  }

  /** All images of the archive. INVALID_ARGUMENT when it is none. */
  async images(): Promise<readonly ArchivedImage[]> {
    if (this.#files.has('manifest.json')) return this.#dockerImages();
    if (this.#files.has('index.json')) return this.#ociImages();
    throw new HyperError(
      'INVALID_ARGUMENT',
      'image archive: it has neither manifest.json (docker save) nor index.json (OCI layout)',
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #spoolEntries(archive: Readable, signal: AbortSignal): Promise<void> {
    const { first, rest } = await peek(archive);
    const decompressor =
      first.length >= 4 && first.readUInt16BE(0) === 0x1f8b
        ? createGunzip()
        : first.length >= 4 && first.readUInt32LE(0) === 0xfd2fb528
          ? createZstdDecompress()
          : new PassThrough();
    const entries = extract();
    const feeding = pipeline(rest, decompressor, entries, { signal });
    feeding.catch(() => undefined);
    let count = 0;
    for await (const entry of entries) {
      entry.on('error', () => undefined);
      if (++count > maxEntries) throw new Error(`it has more than ${String(maxEntries)} entries`);
      const name = cleanName(entry.header.name);
      if (entry.header.type === 'file') {
        const file = path.join(this.#directory, String(count));
        await pipeline(entry, createWriteStream(file, { mode: 0o600 }), { signal });
        this.#files.set(name, file);
        continue;
      }
      const target = entry.header.linkname;
      if ((entry.header.type === 'symlink' || entry.header.type === 'link') && target) {
        // docker save links equal layers: "../ID/layer.tar", relative to the entry.
        const base = entry.header.type === 'symlink' ? path.posix.dirname(name) : '';
        const file = this.#files.get(cleanName(path.posix.join(base, target)));
        if (file !== undefined) this.#files.set(name, file);
      }
      entry.resume();
    }
    await feeding;
  }

  async #dockerImages(): Promise<readonly ArchivedImage[]> {
    const bytes = await this.#json('manifest.json');
    const wrapped = parseJson(Buffer.from(`{"images":${bytes.toString('utf8')}}`), 'manifest.json');
    const images: ArchivedImage[] = [];
    for (const value of asArray(wrapped['images'], 'manifest.json', 1000)) {
      const entry = asObject(value, 'manifest.json');
      const tags = asStrings(entry['RepoTags'], 'manifest.json: RepoTags');
      images.push({
        config: await this.#json(asString(entry['Config'], 'manifest.json: Config')),
        layerFiles: asStrings(entry['Layers'], 'manifest.json: Layers').map((name) =>
          this.#file(name),
        ),
        references: tags.map((tag) => familiarReference(parseReference(tag))),
      });
    }
    return images;
  }

  async #ociImages(): Promise<readonly ArchivedImage[]> {
    const index = parseJson(await this.#json('index.json'), 'index.json');
    const images: ArchivedImage[] = [];
    for (const value of asArray(index['manifests'], 'index.json: manifests', 1000)) {
      const descriptor = asObject(value, 'index.json: manifests');
      const annotations = asObject(descriptor['annotations'] ?? {}, 'index.json: annotations');
      let bytes = await this.#blob(descriptor['digest']);
      if (isIndex(bytes))
        bytes = await this.#blob(chooseManifest(bytes, null, 'index.json').digest);
      const manifest = parseManifest(bytes);
      const name = asString(
        annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'],
        'index.json: image name',
      );
      images.push({
        config: await this.#blob(manifest.config.digest),
        layerFiles: manifest.layers.map(({ digest }) => this.#file(blobName(digest))),
        references: /[:/]/.test(name) ? [familiarReference(parseReference(name))] : [],
      });
    }
    return images;
  }

  async #blob(digest: unknown): Promise<Buffer> {
    return this.#json(blobName(parseDigest(digest, 'index.json: digest')));
  }

  async #json(name: string): Promise<Buffer> {
    const file = this.#file(name);
    await using handle = await open(file, 'r');
    if ((await handle.stat()).size > maxJsonBytes) {
      throw new HyperError('INVALID_ARGUMENT', `image archive: ${name} is larger than 4 MiB`);
    }
    return await readFile(file);
  }

  #file(name: string): string {
    const file = this.#files.get(cleanName(name));
    if (file === undefined) {
      throw new HyperError('INVALID_ARGUMENT', `image archive: ${name} is missing`);
    }
    return file;
  }
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** Entries are only ever looked up by name, so a name that climbs is a name that nobody asks for. */
function cleanName(name: string): string {
  return path.posix.normalize(`/${name}`).slice(1);
}

/** The first bytes, and the whole stream again. */
async function peek(stream: Readable): Promise<{ first: Buffer; rest: AsyncIterable<Buffer> }> {
  const chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  while (first.length < 4) {
    const next = await chunks.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  async function* rest(): AsyncGenerator<Buffer> {
    yield first;
    for (;;) {
      const next = await chunks.next();
      if (next.done === true) return;
      yield next.value;
    }
  }
  return { first, rest: rest() };
}
