import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

import { extract, type Header, pack } from 'tar-stream';

/** Time stamp of every file that we make, so that the same recipe gives the same bytes. */
export const fixedTime = new Date('2026-01-01T00:00:00Z');

export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'character-device';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: Buffer;
  /** Target of a symbolic or hard link. */
  readonly target: string;
}

const none = Buffer.alloc(0);

/** Directories that Debian moved into /usr; packages may still ship files under the old names. */
const mergedDirectories = new Set(['bin', 'sbin', 'lib', 'lib64']);
const leftOut = /^usr\/share\/(doc|man|info|lintian|locale|bug|help|gtk-doc)\//;

/** The files of one layer, by path without a leading slash. Later additions win. */
export class LayerTree {
  readonly #entries = new Map<string, TreeEntry>();

  addFile(path: string, content: string | Buffer, mode = 0o644, owner: Owner = {}): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    this.#add(path, { ...entryDefaults, type: 'file', mode, content: bytes, ...owner });
  }

  addDirectory(path: string, mode = 0o755, owner: Owner = {}): void {
    this.#add(path, { ...entryDefaults, type: 'directory', mode, ...owner });
  }

  addSymlink(path: string, target: string): void {
    this.#add(path, { ...entryDefaults, type: 'symlink', mode: 0o777, target });
  }

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  paths(): readonly string[] {
    return [...this.#entries.keys()];
  }

  read(path: string): Buffer | undefined {
    return this.#entries.get(path)?.content;
  }

  /** Unpacks the data part of a Debian package (a tar stream) into the tree; documentation is left out. */
  async addTar(tar: Readable): Promise<void> {
    const reader = tar.pipe(extract());
    for await (const file of reader) {
      const { header } = file;
      const path = usrMerged(cleanPath(header.name));
      const chunks: Buffer[] = [];
      for await (const chunk of file) chunks.push(chunk as Buffer);
      if (path === '' || leftOut.test(path)) continue;
      const entry = fromHeader(header, Buffer.concat(chunks));
      const isKnownDirectory = entry.type === 'directory' && this.#entries.has(path);
      if (!isKnownDirectory) this.#add(path, entry);
    }
  }

  /** The layer as a tar, sorted, with the fixed time, and the SHA-256 of it. */
  async toTar(): Promise<{ readonly tar: Buffer; readonly diffId: string }> {
    const writer = pack();
    const sorted = [...this.#entries.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
    // A hard link must come after the file that it names.
    const links = sorted.filter(([, entry]) => entry.type === 'link');
    for (const [path, entry] of [...sorted.filter(([, { type }]) => type !== 'link'), ...links]) {
      writer.entry(toHeader(path, entry), entry.content);
    }
    writer.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of writer) chunks.push(chunk as Buffer);
    const tar = Buffer.concat(chunks);
    return { tar, diffId: `sha256:${createHash('sha256').update(tar).digest('hex')}` };
  }

  #add(path: string, entry: TreeEntry): void {
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
    if (parent !== '' && !this.#entries.has(parent)) this.addDirectory(parent);
    this.#entries.set(path, entry);
  }
}

export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

const entryDefaults = { uid: 0, gid: 0, content: none, target: '' };

/** `./bin/sh` → `usr/bin/sh`: where a path of an unmerged package lives on a merged system. */
export function usrMerged(path: string): string {
  const [first = '', ...rest] = path.split('/');
  return mergedDirectories.has(first) && rest.length > 0 ? `usr/${path}` : path;
}

function cleanPath(name: string): string {
  return name
    .replace(/^(\.?\/)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
}

function fromHeader(header: Header, content: Buffer): TreeEntry {
  const types: Readonly<Record<string, TreeEntry['type']>> = {
    file: 'file',
    'contiguous-file': 'file',
    directory: 'directory',
    symlink: 'symlink',
    link: 'link',
    'character-device': 'character-device',
  };
  const type = types[header.type ?? 'file'];
  if (type === undefined) {
    throw new Error(`${header.name}: a package file of type ${String(header.type)}`);
  }
  const linkName = header.linkname ?? '';
  return {
    type,
    mode: (header.mode ?? 0o644) & 0o7777,
    uid: header.uid ?? 0,
    gid: header.gid ?? 0,
    content,
    target: type === 'link' ? usrMerged(cleanPath(linkName)) : linkName,
  };
}

function toHeader(path: string, entry: TreeEntry): Header {
  return {
    name: entry.type === 'directory' ? `${path}/` : path,
    type: entry.type,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    mtime: fixedTime,
    size: entry.content.length,
    ...(entry.target === '' ? {} : { linkname: entry.target }),
  };
}
