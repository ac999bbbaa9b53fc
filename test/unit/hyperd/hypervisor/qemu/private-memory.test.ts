import { mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  restorePrivateMemory,
  savePrivateMemory,
} from '../../../../../hyperd/hypervisor/qemu/private-memory.ts';
import { privateFile } from '../../../../../hyperd/hypervisor/qemu/template-memory.ts';

const mebibyte = 1024 * 1024;
const sizeBytes = 9 * mebibyte;
const template = 'a'.repeat(64);
const clone = 'b'.repeat(64);

let directory: string;
let files: { readonly templateDirectory: string; readonly privateDirectory: string };
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-memory-'));
  files = { templateDirectory: directory, privateDirectory: directory };
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** The memory of a template: holes, with some bytes here and there. */
async function fill(bytes: ReadonlyMap<number, string>): Promise<Buffer> {
  await using handle = await open(privateFile(files, template), 'w');
  await handle.truncate(sizeBytes);
  for (const [offset, text] of bytes) await handle.write(text, offset);
  return await readFile(privateFile(files, template));
}

describe('private memory', () => {
  it('is in a clone what it was in the template, and its holes stay holes', async () => {
    const memory = await fill(
      new Map([
        [0, 'first'],
        [4 * mebibyte - 2, 'over the edge of a read'],
        [5 * mebibyte + 70_000, 'amid'],
        [sizeBytes - 4, 'last'],
      ]),
    );
    await savePrivateMemory(files, template);

    await using _ = await restorePrivateMemory(files, clone);

    const file = privateFile(files, clone);
    expect((await readFile(file)).equals(memory)).toBe(true);
    const { blocks, mode } = await stat(file);
    // Five chunks of 64 KiB.
    expect(blocks * 512).toBeLessThan(mebibyte);
    expect(mode & 0o777).toBe(0o600);
  });

  it('of nothing but zeros takes no room', async () => {
    await fill(new Map());
    await savePrivateMemory(files, template);

    await using _ = await restorePrivateMemory(files, clone);

    const { size, blocks } = await stat(privateFile(files, clone));
    expect({ size, blocks }).toEqual({ size: sizeBytes, blocks: 0 });
    expect((await stat(path.join(directory, 'private-memory'))).size).toBe(0);
  });

  it('loses its name at the end of the start', async () => {
    await fill(new Map([[0, 'x']]));
    await savePrivateMemory(files, template);
    const memory = await restorePrivateMemory(files, clone);

    await memory[Symbol.asyncDispose]();

    expect(await readdir(directory)).not.toContain(clone.slice(0, 20));
  });

  it('that cannot be restored leaves no file', async () => {
    await expect(restorePrivateMemory(files, clone)).rejects.toThrow('ENOENT');
    expect(await readdir(directory)).toEqual([]);
  });
});
