import { Transform, type TransformCallback } from 'node:stream';

import { HyperError } from '../base/error.ts';
import { classify, cleanPath, parentOf, shown } from './layer-path.ts';
import { type EntryExtension, extended, noExtension } from './tar-extension.ts';
import {
  blockBytes,
  emptyEntry,
  paddedSize,
  parseHeader,
  type TarHeader,
  withoutPayload,
} from './tar-header.ts';

const maxExtensionBytes = 1024 * 1024;
const maxEntries = 4_000_000;
const maxLinkBytes = 4095;
const regularTypes = new Set(['0', '\0', '7']);
/** Links, devices, directories and FIFOs: they have no payload, whatever their size field says. */
const headerOnlyTypes = new Set(['1', '2', '3', '4', '5', '6']);

/**
 * Turns a layer's tar into what mkfs.erofs understands in the same way: refuses damage and names that
 * climb out of the root, adds the directories that the layer only implies (root's, 0755, as Docker
 * makes them), brings whiteouts into one form and drops what AUFS kept for itself.
 */
export class TarFilter extends Transform {
  readonly #what: string;
  #block: Buffer = Buffer.alloc(0);
  /** Payload bytes (with padding) of the current entry still to come. */
  #left = 0;
  #drops = false;
  /** Extension headers wait for the entry that they describe. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #content: { readonly type: string; readonly size: number; readonly start: number } | null = null;
  #extension: EntryExtension = noExtension;
  readonly #directories = new Set<string>();
  readonly #symlinks = new Set<string>();
  #entries = 0;
  #hasEnded = false;

  constructor(what: string) {
    super({ highWaterMark: 256 * 1024 });
    this.#what = what;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const out: Buffer[] = [];
    try {
      this.#scan(chunk, out);
    } catch (thrown) {
      callback(thrown instanceof HyperError ? thrown : this.#fault((thrown as Error).message));
      return;
    }
    callback(null, out.length === 0 ? undefined : Buffer.concat(out));
  }

  override _flush(callback: TransformCallback): void {
    const isWhole = this.#left === 0 && this.#block.length === 0 && this.#held.length === 0;
    if (!isWhole && !this.#hasEnded) {
      callback(this.#fault('it is truncated'));
      return;
    }
    const out: Buffer[] = [];
    this.#addDirectory('', out);
    out.push(Buffer.alloc(2 * blockBytes));
    callback(null, Buffer.concat(out));
  }

  #scan(chunk: Buffer, out: Buffer[]): void {
    let rest = chunk;
    // What follows the end mark belongs to the digest, not to the archive.
    while (rest.length > 0 && !this.#hasEnded) {
      if (this.#left > 0) {
        const part = rest.subarray(0, this.#left);
        rest = rest.subarray(part.length);
        this.#left -= part.length;
        if (this.#content !== null) this.#hold(part);
        else if (!this.#drops) out.push(part);
        if (this.#left === 0) this.#endContent();
        continue;
      }
      const part = rest.subarray(0, blockBytes - this.#block.length);
      rest = rest.subarray(part.length);
      this.#block = this.#block.length === 0 ? part : Buffer.concat([this.#block, part]);
      if (this.#block.length === blockBytes) {
        // Held headers outlive the chunk that they came in.
        const block = Buffer.from(this.#block);
        this.#block = Buffer.alloc(0);
        this.#takeBlock(block, out);
      }
    }
  }

  #takeBlock(block: Buffer, out: Buffer[]): void {
    if (block.every((byte) => byte === 0)) {
      if (this.#held.length > 0) throw new Error('an extension header describes no entry');
      this.#hasEnded = true;
      return;
    }
    const header = parseHeader(block);
    if (header === null) {
      throw new Error(this.#entries === 0 ? 'it is no tar archive' : 'a header is damaged');
    }
    if (++this.#entries > maxEntries) {
      throw new Error(`it has more than ${String(maxEntries)} entries`);
    }
    if ('xLK'.includes(header.type)) {
      this.#expectPayload(header.sizeBytes, false);
      if (header.sizeBytes > maxExtensionBytes) {
        throw new Error('an extension header is larger than 1 MiB');
      }
      this.#hold(block);
      this.#content = { type: header.type, size: header.sizeBytes, start: this.#held.length };
      if (this.#left === 0) this.#endContent();
      return;
    }
    const held = this.#held;
    const extension = this.#extension;
    this.#held = [];
    this.#heldBytes = 0;
    this.#extension = noExtension;
    this.#takeEntry({ block, header, held, extension }, out);
  }

  #hold(part: Buffer): void {
    this.#heldBytes += part.length;
    if (this.#heldBytes > 3 * maxExtensionBytes) {
      throw new Error('the extension headers of an entry are larger than 3 MiB');
    }
    this.#held.push(part);
  }

  #endContent(): void {
    const content = this.#content;
    if (content === null) return;
    this.#content = null;
    const bytes = Buffer.concat(this.#held.slice(content.start)).subarray(0, content.size);
    const extension = extended(this.#extension, content.type, bytes);
    if (extension === null) throw new Error('an extension header is damaged');
    this.#extension = extension;
  }

  #takeEntry({ block, header, held, extension }: Entry, out: Buffer[]): void {
    const { type } = header;
    if (type === 'g') {
      // Remarks on the archive as a whole; Docker ignores them too.
      this.#expectPayload(header.sizeBytes, true);
      return;
    }
    if (type === 'S' || extension.isSparse) {
      throw new HyperError(
        'UNSUPPORTED',
        `${this.#what}: sparse files (GNU tar) are not supported`,
      );
    }
    if (!regularTypes.has(type) && !headerOnlyTypes.has(type)) {
      throw new Error(`an entry is of the unknown type ${JSON.stringify(type)}`);
    }
    const name = extension.name ?? header.name;
    // The first tars had no type for directories.
    const wanted = regularTypes.has(type) && name.endsWith('/') ? '5' : type;
    const hasPayload = regularTypes.has(wanted);
    const size = hasPayload ? (extension.sizeBytes ?? header.sizeBytes) : 0;
    if (!hasPayload && (extension.sizeBytes ?? 0) !== 0) throw new Error('a link has a size');
    const path = cleanPath(name);
    if (name === '' || (path === '' && wanted !== '5')) throw new Error('an entry has no name');
    const meaning = classify(path);
    if (meaning.kind !== 'plain') {
      this.#expectPayload(size, true);
      this.#hide(meaning, out);
      return;
    }
    if (type === '1' || type === '2') this.#checkLink(type, extension.linkName ?? header.linkName);
    this.#place(path, wanted, out);
    this.#expectPayload(size, false);
    const isSame = wanted === type && (hasPayload || header.sizeBytes === 0);
    out.push(...held, isSame ? block : withoutPayload(block, wanted));
  }

  #expectPayload(sizeBytes: number, drops: boolean): void {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw new Error('an entry has no valid size');
    }
    this.#left = paddedSize(sizeBytes);
    this.#drops = drops;
  }

  /** A whiteout, in its one form: an empty regular file. */
  #hide(meaning: Exclude<ReturnType<typeof classify>, { kind: 'plain' }>, out: Buffer[]): void {
    // overlayfs merges the roots of all layers: an opaque one would not be honoured.
    if (meaning.kind === 'housekeeping' || meaning.path === '.wh..wh..opq') return;
    this.#addDirectory(parentOf(meaning.path), out);
    out.push(emptyEntry(meaning.path, 'file'));
  }

  #place(path: string, type: string, out: Buffer[]): void {
    if (path !== '') this.#addDirectory(parentOf(path), out);
    if (type === '5') this.#directories.add(path);
    if (type === '2') this.#symlinks.add(path);
    else this.#symlinks.delete(path);
  }

  /** Makes sure that a directory and those above it are in the archive. */
  #addDirectory(path: string, out: Buffer[]): void {
    if (this.#directories.has(path)) return;
    if (this.#symlinks.has(path)) {
      const text = `${this.#what}: it has entries beneath ${shown(path)}, which is a symbolic link`;
      throw new HyperError('UNSUPPORTED', text);
    }
    if (path !== '') this.#addDirectory(parentOf(path), out);
    this.#directories.add(path);
    out.push(emptyEntry(path === '' ? './' : `${path}/`, 'directory'));
  }

  #checkLink(type: '1' | '2', target: string): void {
    if (target === '') throw new Error('a link has no target');
    // Where a symbolic link leads is found out in the guest, inside the container's root.
    if (type === '1') cleanPath(target);
    else if (target.length > maxLinkBytes || target.includes('\0')) {
      throw new Error('a symbolic link has no valid target');
    }
  }

  #fault(why: string): HyperError {
    return new HyperError('INVALID_ARGUMENT', `${this.#what}: ${why}`);
  }
}

interface Entry {
  readonly block: Buffer;
  readonly header: TarHeader;
  readonly held: readonly Buffer[];
  readonly extension: EntryExtension;
}
