import { open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';

import { extract } from 'tar-stream';

import { HyperError } from './error.ts';
import { run } from './subprocess.ts';
import { writeAll } from './write-all.ts';

/** A file in memory, without its holes. */
export interface SparseFile {
  readonly sizeBytes: number;
  readonly pieces: readonly SparsePiece[];
}

interface SparsePiece {
  /** In the file, in bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const tarBlockBytes = 512;

/**
 * Writes an archive of a file's data. Only a program can ask the filesystem where the holes are, and tar
 * is on every host.
 */
export async function packSparseFile(source: string, archive: string): Promise<void> {
  await run('tar', [
    ...['--create', '--sparse', '--format=posix', '--sparse-version=1.0'],
    ...['--file', archive, '--directory', path.dirname(source), '--', path.basename(source)],
  ]);
}

/**
 * Reads an archive that `packSparseFile` has written: one entry, whose content is a map of the data and
 * the data (GNU tar manual, appendix "Storing Sparse Files", PAX format, version 1.0). INTERNAL for any other file.
 */
export async function readSparseArchive(archive: string): Promise<SparseFile> {
  const entries = extract();
  entries.end(await readFile(archive));
  for await (const entry of entries) {
    const content = await buffer(entry);
    // The package's types leave them out.
    const { pax }: { readonly pax?: unknown } = entry.header;
    if (typeof pax !== 'object' || pax === null || !('GNU.sparse.realsize' in pax)) {
      return { sizeBytes: content.length, pieces: [{ offset: 0, bytes: content }] };
    }
    return { sizeBytes: Number(pax['GNU.sparse.realsize']), pieces: parsePieces(content) };
  }
  throw new HyperError('INTERNAL', `${archive}: no file is in it`);
}

/** The map: how many pieces, then offset and length of each; a number is a line, the last block is filled up. */
function parsePieces(content: Buffer): readonly SparsePiece[] {
  let at = 0;
  const check = (isRight: boolean): void => {
    if (!isRight) throw new HyperError('INTERNAL', 'the archive of a sparse file is damaged');
  };
  const nextNumber = (): number => {
    const end = content.indexOf('\n', at);
    const value = end < 0 ? Number.NaN : Number(content.toString('latin1', at, end));
    check(Number.isSafeInteger(value) && value >= 0);
    at = end + 1;
    return value;
  };
  const places = Array.from({ length: nextNumber() }, () => ({
    offset: nextNumber(),
    length: nextNumber(),
  }));
  let start = Math.ceil(at / tarBlockBytes) * tarBlockBytes;
  return places.map(({ offset, length }) => {
    const bytes = content.subarray(start, start + length);
    check(bytes.length === length);
    start += length;
    return { offset, bytes };
  });
}

/** Makes the file at a path where nothing is. On failure nothing is left behind. */
export async function writeSparseFile(file: SparseFile, target: string): Promise<void> {
  const handle = await open(target, 'wx', 0o600);
  try {
    await handle.truncate(file.sizeBytes);
    await Promise.all(file.pieces.map(({ offset, bytes }) => writeAll(handle, bytes, offset)));
  } catch (thrown) {
    await rm(target, { force: true });
    throw thrown;
  } finally {
    await handle.close();
  }
}
