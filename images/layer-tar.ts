import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { extract, type Header, pack } from 'tar-stream';

import type { LayerTree, TreeEntry } from './layer-tree.ts';
import { cleanPath, isLeftOut, isLinkedDirectory, mergedPath } from './package-path.ts';

/** Time stamp of every file that we make, so that the same recipe gives the same bytes. */
export const fixedTime = new Date('2026-01-01T00:00:00Z');

interface TarFile {
  readonly header: Header;
  readonly content: Buffer;
}

/**
 * Adds the data part of a Debian package; documentation is left out, old paths are moved into /usr.
 * Returns all its paths as dpkg lists them.
 */
export async function addPackageFiles(tree: LayerTree, tar: Readable): Promise<readonly string[]> {
  const listed: string[] = [];
  await readTar(tar, ({ header, content }) => {
    const shipped = cleanPath(header.name);
    listed.push(`/${shipped === '' ? '.' : shipped}`);
    const path = mergedPath(shipped);
    const entry = toEntry(header, content, mergedPath);
    if (path === '' || isLeftOut(path)) return;
    // Directories are shared by packages: the first one's mode stays, as dpkg does it.
    if (entry.type === 'directory' && (isLinkedDirectory(path) || tree.find(path) !== undefined)) {
      return;
    }
    tree.add(path, entry);
  });
  return listed;
}

/** Adds the files of a layer that `packLayer` wrote. */
export async function addLayer(tree: LayerTree, tar: Readable): Promise<void> {
  await readTar(tar, ({ header, content }) => {
    tree.add(
      cleanPath(header.name),
      toEntry(header, content, (target) => target),
    );
  });
}

/** The files of a tar by name. */
export async function readTarFiles(tar: Readable): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  await readTar(tar, ({ header, content }) => files.set(header.name, content));
  return files;
}

/** The layer as a tar stream: sorted, with the fixed time. */
export function packLayer(tree: LayerTree): Readable {
  const writer = pack();
  for (const [path, entry] of tree.sorted()) writer.entry(toHeader(path, entry), entry.content);
  writer.finalize();
  return Readable.from(writer);
}

async function readTar(tar: Readable, onFile: (file: TarFile) => void): Promise<void> {
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    const chunks: Buffer[] = [];
    // A cut tar fails both the file and the reader, which the pipeline below reports.
    stream.on('error', () => undefined);
    stream.on('data', (chunk) => chunks.push(chunk as Buffer));
    stream.on('end', () => {
      try {
        onFile({ header, content: Buffer.concat(chunks) });
        next();
      } catch (error) {
        next(error as Error);
      }
    });
  });
  await pipeline(tar, reader);
}

function toEntry(
  header: Header,
  content: Buffer,
  mapTarget: (target: string) => string,
): TreeEntry {
  const { type, name, linkname } = header;
  if (type !== 'file' && type !== 'directory' && type !== 'symlink' && type !== 'link') {
    throw new Error(`${name}: a ${type} is not expected in a layer made of packages`);
  }
  // tar-stream says null where there is no link.
  const target = type === 'link' || type === 'symlink' ? linkname : '';
  return {
    type,
    mode: header.mode & 0o7777,
    uid: header.uid,
    gid: header.gid,
    content,
    target: type === 'link' ? mapTarget(cleanPath(target)) : target,
  };
}

function toHeader(path: string, entry: TreeEntry): Partial<Header> & Pick<Header, 'name'> {
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
