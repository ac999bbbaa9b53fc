import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  packSparseFile,
  readSparseArchive,
  writeSparseFile,
} from '../../../../hyperd/base/sparse-file.ts';

const mebibyte = 1024 ** 2;
const sizeBytes = 64 * mebibyte + 512;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-sparse-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

const at = (name: string): string => path.join(directory, name);

/** Packs a file that was made with these pieces, and makes it anew. */
async function copy(pieces: readonly (readonly [number, string])[]): Promise<string> {
  const source = await open(at('source'), 'w');
  await source.truncate(sizeBytes);
  for (const [offset, text] of pieces) await source.write(text, offset);
  await source.close();
  await packSparseFile(at('source'), at('archive'));
  await writeSparseFile(await readSparseArchive(at('archive')), at('target'));
  return at('target');
}

describe('a sparse file in memory', () => {
  it.each([
    ['data at its ends and between', [0, 5 * mebibyte + 17, sizeBytes - 4]],
    ['data in its middle', [mebibyte]],
    ['nothing but a hole', []],
  ])('with %s becomes the same file, holes included', async (_, offsets) => {
    const target = await copy(offsets.map((offset) => [offset, 'data'] as const));
    expect((await readFile(target)).equals(await readFile(at('source')))).toBe(true);
    const { blocks, mode } = await stat(target);
    expect(blocks * 512).toBeLessThan(mebibyte);
    expect(mode & 0o777).toBe(0o600);
  });

  it('without holes is one piece', async () => {
    await writeFile(at('source'), 'all of it');
    await packSparseFile(at('source'), at('archive'));
    const file = await readSparseArchive(at('archive'));
    expect(file.sizeBytes).toBe(9);
    await writeSparseFile(file, at('target'));
    expect(await readFile(at('target'), 'utf8')).toBe('all of it');
  });

  it('takes the place of no other file', async () => {
    await writeFile(at('target'), 'mine');
    await expect(copy([])).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readFile(at('target'), 'utf8')).toBe('mine');
  });

  it('is not read from what is no archive of one', async () => {
    await writeFile(at('archive'), '');
    await expect(readSparseArchive(at('archive'))).rejects.toThrow('no file is in it');
  });
});
