import { createWriteStream } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { extract } from 'tar-stream';

import { HyperError, messageOf } from '../base/error.ts';
import { openCompressed } from './decompress.ts';
import { digestOf, parseDigest } from './digest.ts';
import { asArray, asObject, asString, asStrings, type JsonObject, parseJson } from './json.ts';
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
    const { source, decompressor } = await openCompressed(archive, 'image archive');
    const entries = extract();
    const feeding = pipeline(source, decompressor, entries, { signal });
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
      // Signed statements about an image (SLSA and the like) are listed beside it.
      if (isAttestation(descriptor)) continue;
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
    const wanted = parseDigest(digest, 'index.json: digest');
    const bytes = await this.#json(blobName(wanted));
    if (digestOf(bytes) !== wanted) {
      const text = `image archive: ${blobName(wanted)} has other content than its name says`;
      throw new HyperError('INVALID_ARGUMENT', text);
    }
    return bytes;
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

function isAttestation(descriptor: JsonObject): boolean {
  const platform = descriptor['platform'];
  return platform !== undefined && asObject(platform, 'index.json: platform')['os'] === 'unknown';
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** Entries are only ever looked up by name, so a name that climbs is a name that nobody asks for. */
function cleanName(name: string): string {
  return path.posix.normalize(`/${name}`).slice(1);
}
