import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { DiskTemplates } from '../../../../hyperd/pod/disk-templates.ts';

const sizeBytes = 32 * 1024 ** 2;
const archiveName = `ext4-${String(sizeBytes)}.tar`;

let directory: string;
let store: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-disks-'));
  store = path.join(directory, 'templates');
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** Makes a disk with a daemon of its own. */
async function clone(name: string): Promise<Buffer> {
  const templates = await DiskTemplates.open(store);
  await templates.clone(sizeBytes, path.join(directory, name));
  return readFile(path.join(directory, name));
}

describe('disk templates', () => {
  it('are formatted once, also by daemons that follow', async () => {
    const first = await clone('a');
    expect(first.length).toBe(sizeBytes);
    // s_magic of ext4's superblock.
    expect(first.readUInt16LE(1024 + 0x38)).toBe(0xef53);
    expect((await clone('b')).equals(first)).toBe(true);
    expect(await readdir(store)).toEqual([archiveName]);
  });

  it.each([0, 3000])('are made anew when only %i bytes of one are there', async (left) => {
    await clone('a');
    await truncate(path.join(store, archiveName), left);
    const disk = await clone('b');
    expect(disk.readUInt16LE(1024 + 0x38)).toBe(0xef53);
  });

  it('that were half-made when a daemon was killed go with the next one', async () => {
    await clone('a');
    for (const ending of ['.new', '.raw']) await writeFile(path.join(store, `x${ending}`), 'half');
    await DiskTemplates.open(store);
    expect(await readdir(store)).toEqual([archiveName]);
  });

  it('of one size are formatted once, however many ask at the same time', async () => {
    const templates = await DiskTemplates.open(store);
    const sizes = Array.from({ length: 12 }, (_, index) => sizeBytes + index * 1024 ** 2);
    const targets = [...sizes, ...sizes].map((size, index) =>
      templates.clone(size, path.join(directory, String(index))),
    );
    await Promise.all(targets);
    const [first, second] = await Promise.all(
      ['0', '12'].map((name) => readFile(path.join(directory, name))),
    );
    expect(first?.equals(second ?? Buffer.alloc(0))).toBe(true);
  });

  it('say which disk could not be made', async () => {
    await clone('a');
    await expect(clone('a')).rejects.toThrow(/making the writable disk .*\/a: EEXIST/);
  });
});
